package dashboard

import (
	"cmp"
	"slices"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// resources are the objects of one kind in all clusters. While some are still read, the page
// follows them.
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
	page := ui.Page{
		Title: "Resources", Section: "Resources",
		Body: func(f ui.Frame) templ.Component { return ui.Resources(f, filter, list) },
	}
	if slices.ContainsFunc(list.Clusters, isBeingRead) {
		query.Del("cursor") // a stream has no pages
		page.Live = v.liveResources(query)
	}
	return page, nil
}

// isBeingRead tells whether a cluster may answer after the page was made.
func isBeingRead(cluster rest.ResourceCluster) bool {
	return cluster.State == "Pending" || cluster.State == "Stale"
}
