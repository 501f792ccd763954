package track

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// sighting is an observation, and the Workflow that waits for it to be committed;
// none where none does.
type sighting struct {
	store.Observation
	held types.NamespacedName
}

func sightingOf(workflow client.Object, deleted bool) sighting {
	seen := sighting{Observation: observationOf(workflow, deleted)}
	if hasEnded(seen.Status) && slices.Contains(workflow.GetFinalizers(), v1alpha1.FinalizerRecorded) {
		seen.held = client.ObjectKeyFromObject(workflow)
	}
	return seen
}

// key is what one sighting of counts. All of it is part of it, so that a foreign
// Workflow that wears our label hides nothing.
type key struct {
	id                     int64
	namespace, name, owner string
}

func keyOf(seen sighting) key {
	return key{id: seen.ID, namespace: seen.Namespace, name: seen.WorkflowName, owner: seen.Owner}
}

// further returns the sighting of the later state. They come out of order where a
// sweep reads a cache that lags, or misses what ended and is gone.
func further(waiting, added sighting) sighting {
	if progress(waiting.Observation) > progress(added.Observation) {
		return waiting
	}
	return added
}

func progress(observation store.Observation) int {
	switch {
	case hasEnded(observation.Status):
		return 3
	case observation.Gone:
		return 2
	case observation.Status == store.StatusRunning:
		return 1
	default:
		return 0
	}
}
