package dashboard

import (
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
