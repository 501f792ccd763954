package ui

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/api/rest"
)

// ClusterView is what the page of one cluster shows.
type ClusterView struct {
	Name, Cursor string
	// Cluster is how it does now; nil where it is gone, or where that is not known.
	Cluster *rest.Cluster
	History rest.ClusterHistory
}

// lasted is how long a change held: until the one above it. Of the first it is not told.
func lasted(changes []rest.ClusterChange, place int) string {
	if place == 0 || changes[place-1].UID != changes[place].UID {
		return ""
	}
	return Span(changes[place-1].At.Sub(changes[place].At))
}

func nextChanges(f Frame, view ClusterView) string {
	if view.History.Next == "" {
		return ""
	}
	return f.With(f.Path("clusters", view.Name), "cursor", view.History.Next)
}

// phaseOrder puts the worst clusters first.
var phaseOrder = []string{"Unreachable", "Unauthorized", "Degraded", "Unknown", "Healthy", "Virtual"}

// worstFirst are the clusters in a phase, or all, the worst first.
func worstFirst(clusters []rest.Cluster, phase string) []rest.Cluster {
	var some []rest.Cluster
	for _, one := range clusters {
		if phase == "" || one.Phase == phase {
			some = append(some, one)
		}
	}
	slices.SortStableFunc(some, func(a, b rest.Cluster) int {
		return cmp.Or(cmp.Compare(slices.Index(phaseOrder, a.Phase), slices.Index(phaseOrder, b.Phase)), cmp.Compare(a.Name, b.Name))
	})
	return some
}

func clusterTabs(clusters []rest.Cluster) []tab {
	counts := map[string]int64{}
	for _, one := range clusters {
		counts[one.Phase]++
	}
	tabs := []tab{{"All", "", int64(len(clusters))}}
	for _, phase := range phaseOrder {
		if counts[phase] > 0 {
			tabs = append(tabs, tab{phase, phase, counts[phase]})
		}
	}
	return tabs
}

// labelsOf are the labels of a cluster in order.
func labelsOf(labels map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, key+"="+labels[key])
	}
	return strings.Join(all, ", ")
}
