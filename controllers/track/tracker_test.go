package track

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// rows remembers what was observed; while it is down every call fails.
type rows struct {
	mu      sync.Mutex
	down    bool
	batches [][]store.Observation
}

func (r *rows) Observe(_ context.Context, observations []store.Observation) ([]store.Moved, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errors.New("database is down")
	}
	r.batches = append(r.batches, observations)
	moved := make([]store.Moved, len(observations))
	for i, observation := range observations {
		moved[i] = store.Moved{ID: observation.ID, Status: string(observation.Status)}
	}
	return moved, nil
}

func (r *rows) statuses() []store.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	var statuses []store.Status
	for _, batch := range r.batches {
		for _, observation := range batch {
			statuses = append(statuses, observation.Status)
		}
	}
	return statuses
}

// tracking is a tracker, and how often Moved was told of a row.
type tracking struct {
	*Tracker
	rows *rows
	told int
}

// newTracking returns a tracker that does nothing until run.
func newTracking() *tracking {
	k := &tracking{rows: &rows{}}
	k.Tracker = New(Config{Rows: k.rows, Moved: func(rows []store.Moved) { k.told += len(rows) }, Log: logr.Discard()})
	return k
}

// run starts it, does what is given, and returns when it has ended.
func (k *tracking) run(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Start(ctx) }()
	do()
	cancel()
	require.NoError(t, <-ended)
}

func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestATrackerFollowsAWorkflowToItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.run(t, func() {
			k.OnAdd(workflow(""), true)
			settle()
			k.OnUpdate(workflow(""), workflow("Running"))
			settle()
			k.OnUpdate(workflow("Running"), workflow("Running"))
			settle()
			k.OnUpdate(workflow("Running"), workflow("Succeeded"))
			settle()
		})
		require.Equal(t, []store.Status{store.StatusSubmitted, store.StatusRunning, store.StatusSucceeded}, k.rows.statuses())
		require.Equal(t, 3, k.told)
	})
}

func TestOfEachWorkflowOnlyTheLatestIsCommitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.OnAdd(workflow(""), true)
		k.OnUpdate(workflow(""), workflow("Running"))
		k.OnUpdate(workflow("Running"), workflow("Failed"))
		k.run(t, settle)
		require.Equal(t, []store.Status{store.StatusFailed}, k.rows.statuses(), "what was seen before the start waits for it")
	})
}

func TestADatabaseThatIsDownLosesNoObservation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.rows.down = true
		k.run(t, func() {
			k.OnAdd(workflow("Succeeded"), true)
			settle()
			k.rows.mu.Lock()
			k.rows.down = false
			k.rows.mu.Unlock()
			time.Sleep(time.Minute)
			synctest.Wait()
		})
		require.Equal(t, []store.Status{store.StatusSucceeded}, k.rows.statuses())
	})
}

func TestADeletionIsObservedHoweverItIsTold(t *testing.T) {
	t.Parallel()
	for sentence, tell := range map[string]func(*tracking){
		"by an event": func(k *tracking) { k.OnDelete(workflow("Running")) },
		"by a list that lacks it": func(k *tracking) {
			k.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "default/web-deploy-1", Obj: workflow("Running")})
		},
		"by a sweep": func(k *tracking) {
			k.Gone(store.Active{ID: 7, Namespace: given.Namespace, WorkflowName: "web-deploy-1"})
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				tell(k)
				k.run(t, settle)
				require.Len(t, k.rows.batches, 1)
				require.Equal(t, []store.Observation{gone(7, "web-deploy-1")}, k.rows.batches[0])
			})
		})
	}
}

func TestAWorkflowMadeAnewUnderTheSameNameIsLookedAt(t *testing.T) {
	t.Parallel()
	anew := workflow("Running")
	anew.UID = given.UID("another")
	require.True(t, samePhase(workflow("Running"), workflow("Running")))
	require.False(t, samePhase(workflow("Running"), anew))
	require.False(t, samePhase(workflow("Running"), workflow("Failed")))
	require.False(t, samePhase("no object", workflow("Running")))
}

func TestWhatIsNoWorkflowOfOursIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.run(t, func() {
			k.OnAdd("no object", false)
			k.OnAdd(Workflow(), false)
			k.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "default/web", Obj: nil})
			settle()
		})
		require.Empty(t, k.rows.batches)
	})
}
