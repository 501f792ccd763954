package track

import (
	"context"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/bounded"
)

// findTimeouts reads the Workflows that failed and had a timeout: whether they ran for
// too long is in their status, which is not watched.
func (t *Tracker) findTimeouts(ctx context.Context, sightings []sighting) error {
	var doubtful []*sighting
	for i := range sightings {
		if sightings[i].doubtful {
			doubtful = append(doubtful, &sightings[i])
		}
	}
	for _, err := range bounded.ForEach(ctx, lookers, lookTimeout, doubtful, t.findTimeout) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) findTimeout(ctx context.Context, seen *sighting) error {
	workflow := &wfv1.Workflow{}
	err := t.Live.Get(ctx, types.NamespacedName{Namespace: seen.Namespace, Name: seen.WorkflowName}, workflow)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("get workflow: %w", err)
	}
	if err == nil && string(workflow.UID) == seen.WorkflowUID && argo.HasTimedOut(workflow) {
		seen.Reason = v1alpha1.ReasonTimedOut
		seen.Message = fmt.Sprintf("Workflow %s ran longer than the stage's timeout of %d s", seen.WorkflowName, *workflow.Spec.ActiveDeadlineSeconds)
	}
	seen.doubtful = false
	return nil
}
