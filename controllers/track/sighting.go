package track

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
)

// sighting is an observation, and the Workflow that waits for it to be committed;
// none where none does.
type sighting struct {
	store.Observation
	held types.NamespacedName
	// failed tells that it did not end well, and that nobody has looked why.
	failed bool
	// again tells that it was seen to go on after its end, or was told out of order.
	again bool
}

func sightingOf(workflow client.Object, deleted bool) sighting {
	seen := sighting{Observation: argo.Observe(workflow, deleted)}
	seen.failed = hasFailed(seen.Observation)
	if seen.Status.HasEnded() && slices.Contains(workflow.GetFinalizers(), v1alpha1.FinalizerRecorded) {
		seen.held = client.ObjectKeyFromObject(workflow)
	}
	return seen
}

// key is what one sighting of counts. All of it is part of it, so that a foreign
// Workflow that wears our label hides nothing.
type key struct {
	gone                           int64
	namespace, name, uid, identity string
}

func keyOf(seen sighting) key {
	return key{gone: seen.Gone, namespace: seen.Namespace, name: seen.WorkflowName, uid: seen.WorkflowUID, identity: seen.Identity}
}

// further returns the sighting of the later state. They come out of order where a
// sweep reads a cache that lags, or misses what ended and is gone; or the Workflow was
// retried in Argo, which is looked into once its end is committed.
func further(waiting, added sighting) sighting {
	if progress(waiting.Observation) > progress(added.Observation) {
		waiting.again = true
		return waiting
	}
	added.again = added.again || waiting.again
	return added
}

func progress(observation store.Observation) int {
	switch {
	case observation.Status.HasEnded():
		return 2
	case observation.Status == store.StatusRunning:
		return 1
	default:
		return 0
	}
}
