package ui

import (
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/api/rest"
)

// ResourcesFilter is what the resources are narrowed down to.
type ResourcesFilter struct{ Kinds, Clusters, Namespace, Selector, Cursor string }

// kindTabs are the kinds that most people look for.
var kindTabs = []tab{{"Pods", "pods", -1}, {"Deployments", "deployments.apps", -1}, {"Services", "services", -1}, {"Jobs", "jobs.batch", -1}, {"Events", "events", -1}, {"Nodes", "nodes", -1}}

func (f Frame) resources(filter ResourcesFilter, kinds, cursor string) string {
	return f.With(f.Path("resources"), "kinds", kinds, "clusters", filter.Clusters, "namespace", filter.Namespace, "labelSelector", filter.Selector, "cursor", cursor)
}

func nextResources(f Frame, filter ResourcesFilter, next string) string {
	if next == "" {
		return ""
	}
	return f.resources(filter, filter.Kinds, next)
}

// incomplete are the clusters of which something is missing or old.
func incomplete(clusters []rest.ResourceCluster) (some []rest.ResourceCluster) {
	for _, one := range clusters {
		if one.State != "Skipped" && (one.State != "Fresh" || one.Truncated || one.Error != "") {
			some = append(some, one)
		}
	}
	return some
}

// skipped are the names of the clusters that are not asked on purpose.
func skipped(clusters []rest.ResourceCluster) string {
	var names []string
	for _, one := range clusters {
		if one.State == "Skipped" {
			names = append(names, one.Name)
		}
	}
	return strings.Join(names, ", ")
}

// shownColumns are the columns that kubectl shows without -o wide.
func shownColumns(kind rest.ResourceKind) (places []int) {
	for i, column := range kind.Columns {
		if column.Priority == 0 && column.Name != "Name" {
			places = append(places, i)
		}
	}
	return places
}

func cell(item rest.ResourceItem, place int) string {
	if place >= len(item.Cells) || item.Cells[place] == nil {
		return ""
	}
	return fmt.Sprint(item.Cells[place])
}
