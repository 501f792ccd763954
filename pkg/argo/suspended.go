package argo

import (
	"maps"
	"slices"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
)

// IsSuspended tells whether a whole Workflow waits for somebody: it was suspended, or one of
// its Suspend nodes runs. Nodes that Argo keeps compressed or in a database of its own are
// not seen.
func IsSuspended(workflow *wfv1.Workflow) bool {
	if workflow.Spec.Suspend != nil && *workflow.Spec.Suspend {
		return true
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(workflow.Status.Nodes)), func(node wfv1.NodeStatus) bool {
		return node.Type == wfv1.NodeTypeSuspend && node.Phase == wfv1.NodeRunning
	})
}

// HasFinished tells whether a whole Workflow has ended.
func HasFinished(workflow *wfv1.Workflow) bool { return statusOf(workflow.Status.Phase).HasEnded() }
