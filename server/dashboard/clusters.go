package dashboard

import (
	"net/http"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// clusters is the health of every TargetCluster, the worst first.
func clusters(v *visit) (ui.Page, error) {
	query := v.pick("clusterSelector")
	list, err := ask[rest.ClusterList](v, query, "clusters")
	if err != nil {
		return ui.Page{}, err
	}
	phase, selector := v.r.URL.Query().Get("phase"), query.Get("clusterSelector")
	return ui.Page{
		Title: "Clusters", Section: "Clusters",
		Body: func(f ui.Frame) templ.Component { return ui.Clusters(f, phase, selector, list.Items) },
	}, nil
}

// cluster is how one TargetCluster does, and how it did before. One that is gone has a history.
func cluster(v *visit) (ui.Page, error) {
	name, query := v.r.PathValue("name"), v.pick("cursor")
	history, err := ask[rest.ClusterHistory](v, query, "clusters", name, "history")
	if err != nil {
		return ui.Page{}, err
	}
	shown := ui.ClusterView{Name: name, Cursor: query.Get("cursor"), History: history}
	if list, err := ask[rest.ClusterList](v, nil, "clusters"); err == nil { // who may get one may not list all
		for _, one := range list.Items {
			if one.Name == name {
				shown.Cluster = &one
			}
		}
		if shown.Cluster == nil && len(history.Items) == 0 {
			return ui.Page{}, &Problem{Status: http.StatusNotFound, Detail: "There is no TargetCluster " + name + ", and nothing is known of one before."}
		}
	}
	return ui.Page{
		Title: name, Section: "Clusters",
		Body: func(f ui.Frame) templ.Component { return ui.Cluster(f, shown) },
	}, nil
}
