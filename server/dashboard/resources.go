package dashboard

import (
	"cmp"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// resources are the objects of one kind in all clusters.
func resources(v *visit) (ui.Page, error) {
	query := v.pick("kinds", "clusters", "namespace", "labelSelector", "cursor")
	query.Set("kinds", cmp.Or(query.Get("kinds"), "pods"))
	query.Set("limit", "200")
	list, err := ask[rest.ResourceList](v, query, "clusters", "resources")
	if err != nil {
		return ui.Page{}, err
	}
	filter := ui.ResourcesFilter{
		Kinds: query.Get("kinds"), Clusters: query.Get("clusters"), Namespace: query.Get("namespace"), Selector: query.Get("labelSelector"), Cursor: query.Get("cursor"),
	}
	return ui.Page{
		Title: "Resources", Section: "Resources",
		Body: func(f ui.Frame) templ.Component { return ui.Resources(f, filter, list) },
	}, nil
}
