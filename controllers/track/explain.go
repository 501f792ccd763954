package track

import (
	"context"
	"fmt"
	"slices"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/store"
)

// explain reads the Workflows that failed, of tasks that have not ended: why they did, such
// as that they ran for too long or that somebody stopped them, is in their status, which is
// not watched.
func (t *Tracker) explain(ctx context.Context, sightings []sighting) error {
	var failed []*sighting
	var names []types.NamespacedName
	for i := range sightings {
		if seen := &sightings[i]; seen.failed {
			failed, names = append(failed, seen), append(names, types.NamespacedName{Namespace: seen.Namespace, Name: seen.WorkflowName})
		}
	}
	if len(failed) == 0 {
		return nil
	}
	open, err := t.Rows.Open(ctx, names)
	if err != nil {
		return err
	}
	failed = slices.DeleteFunc(failed, func(seen *sighting) bool {
		return !slices.Contains(open, types.NamespacedName{Namespace: seen.Namespace, Name: seen.WorkflowName})
	})
	for _, err := range bounded.ForEach(ctx, lookers, lookTimeout, failed, t.findReason) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) findReason(ctx context.Context, seen *sighting) error {
	workflow := &wfv1.Workflow{}
	err := t.Live.Get(ctx, types.NamespacedName{Namespace: seen.Namespace, Name: seen.WorkflowName}, workflow)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("get workflow: %w", err)
	}
	seen.failed = false
	if string(workflow.UID) != seen.WorkflowUID {
		return nil // it is gone, or another
	}
	if argo.HasTimedOut(workflow) {
		seen.Reason = v1alpha1.ReasonTimedOut
		seen.Message = fmt.Sprintf("Workflow %s ran longer than the stage's timeout of %d s", seen.WorkflowName, *workflow.Spec.ActiveDeadlineSeconds)
		return nil
	}
	seen.Message = argo.Explain(seen.Observation, workflow.Status.Message)
	return nil
}

// hasFailed tells whether a Workflow's status tells more of its end than its labels do.
func hasFailed(seen store.Observation) bool {
	return (seen.Status == store.StatusFailed || seen.Status == store.StatusError) && seen.Reason == v1alpha1.ReasonWorkflowFailed
}
