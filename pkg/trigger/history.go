package trigger

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Surplus returns the builds of one CiPipeline that its history keeps no longer: those that
// have ended, are behind as many newer ones that ended like them as are kept, and have no
// run that goes on.
func Surplus(builds []v1alpha1.CiBuild, history v1alpha1.BuildHistory) []*v1alpha1.CiBuild {
	ended := make([]*v1alpha1.CiBuild, 0, len(builds))
	for i := range builds {
		if builds[i].Status.Phase.IsTerminal() {
			ended = append(ended, &builds[i])
		}
	}
	slices.SortFunc(ended, func(a, b *v1alpha1.CiBuild) int {
		if order := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(b.Name, a.Name)
	})
	successful, failed := int(history.Successful), int(history.Failed)
	var surplus []*v1alpha1.CiBuild
	for _, build := range ended {
		left := &failed
		if build.Status.Phase == v1alpha1.BuildSucceeded {
			left = &successful
		}
		if *left > 0 {
			*left--
			continue
		}
		if build.DeletionTimestamp.IsZero() && isSettled(build) {
			surplus = append(surplus, build)
		}
	}
	return surplus
}

// isSettled tells whether a build is planned and every run that came of it has ended.
func isSettled(build *v1alpha1.CiBuild) bool {
	triggers := build.Status.Triggers
	return meta.IsStatusConditionTrue(build.Status.Conditions, v1alpha1.ConditionPlanned) &&
		triggers != nil && triggers.Succeeded+triggers.Failed+triggers.Cancelled+triggers.Superseded == triggers.Total
}
