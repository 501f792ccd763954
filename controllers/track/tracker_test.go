package track

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// rows remembers what was observed; while it is down every call fails.
type rows struct {
	mu      sync.Mutex
	down    bool
	refused string // owner of which the database can't store the name
	batches [][]store.Observation
}

func (r *rows) Observe(_ context.Context, observations []store.Observation) ([]store.Moved, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errors.New("database is down")
	}
	if slices.ContainsFunc(observations, func(o store.Observation) bool { return r.refused != "" && o.Owner == r.refused }) {
		return nil, fmt.Errorf("observe workflows: %w", &pgconn.PgError{Code: "22021"})
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

// tracking is a tracker, how often Moved was told of a row, and which Workflows
// Recorded was told of.
type tracking struct {
	*Tracker
	rows     *rows
	told     int
	recorded []string
}

// newTracking returns a tracker that does nothing until run.
func newTracking() *tracking {
	k := &tracking{rows: &rows{}}
	k.Tracker = New(Config{
		Rows:  k.rows,
		Moved: func(rows []store.Moved) { k.told += len(rows) },
		Recorded: func(names []types.NamespacedName) {
			for _, name := range names {
				k.recorded = append(k.recorded, name.String())
			}
		},
		Log: logr.Discard(),
	})
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
	going := workflow("Running")
	going.DeletionTimestamp = ptr.To(metav1.Now())
	unended := observationOf(workflow("Running"), true)
	row := store.Active{ID: 7, Namespace: given.Namespace, WorkflowName: "web-deploy-1"}
	for sentence, c := range map[string]struct {
		tell func(*tracking)
		want store.Observation
	}{
		"by its being about to go": {func(k *tracking) { k.OnUpdate(workflow("Running"), going) }, unended},
		"by an event":              {func(k *tracking) { k.OnDelete(workflow("Running")) }, unended},
		"by a list that lacks it": {func(k *tracking) {
			k.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "default/web-deploy-1", Obj: workflow("Running")})
		}, unended},
		"by a sweep": {func(k *tracking) { k.Gone(row) }, gone(row)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				c.tell(k)
				k.run(t, settle)
				require.Equal(t, [][]store.Observation{{c.want}}, k.rows.batches)
			})
		})
	}
}

func TestAWorkflowIsRecordedOnceItsEndIsCommitted(t *testing.T) {
	t.Parallel()
	held := func(phase string) *metav1.PartialObjectMetadata {
		object := workflow(phase)
		object.Finalizers = []string{"argo", v1alpha1.FinalizerRecorded}
		return object
	}
	going := held("Running")
	going.DeletionTimestamp = ptr.To(metav1.Now())
	for sentence, c := range map[string]struct {
		seen *metav1.PartialObjectMetadata
		down bool
		want []string
	}{
		"one that runs is not":                        {held("Running"), false, nil},
		"one that succeeded is":                       {held("Succeeded"), false, []string{"default/web-deploy-1"}},
		"one that failed is":                          {held("Failed"), false, []string{"default/web-deploy-1"}},
		"one that is deleted while it runs is":        {going, false, []string{"default/web-deploy-1"}},
		"one without our finalizer waits for nothing": {workflow("Succeeded"), false, nil},
		"not while the database refuses to commit it": {held("Succeeded"), true, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				k.rows.down = c.down
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- k.Start(ctx) }()
				k.OnAdd(c.seen, false)
				settle()
				require.Equal(t, c.want, k.recorded)
				cancel()
				if err := <-ended; !c.down {
					require.NoError(t, err)
				}
			})
		})
	}
}

func TestAWorkflowMadeAnewUnderTheSameNameIsLookedAt(t *testing.T) {
	t.Parallel()
	anew := workflow("Running")
	anew.UID = given.UID("another")
	require.True(t, sameState(workflow("Running"), workflow("Running")))
	require.False(t, sameState(workflow("Running"), anew))
	require.False(t, sameState(workflow("Running"), workflow("Failed")))
	require.False(t, sameState("no object", workflow("Running")))
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

func TestWhatIsToldOutOfOrderTakesNoEndBack(t *testing.T) {
	t.Parallel()
	row := store.Active{ID: 7, Namespace: given.Namespace, WorkflowName: "web-deploy-1", PipelineUid: "web-uid"}
	for sentence, late := range map[string]func(*tracking){
		"a sweep that does not find it any more": func(k *tracking) { k.Gone(row) },
		"a sweep whose cache lags":               func(k *tracking) { k.Found(row, workflow("Running")) },
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				k.OnUpdate(workflow("Running"), workflow("Succeeded"))
				late(k)
				k.run(t, settle)
				require.Equal(t, []store.Status{store.StatusSucceeded}, k.rows.statuses())
			})
		})
	}
}

func TestAWorkflowThatNamesAnotherRowIsOfTheRowThatFoundIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.Found(store.Active{ID: 8}, workflow("Succeeded"))
		k.run(t, settle)
		require.Equal(t, int64(8), k.rows.batches[0][0].ID)
	})
}

// Somebody may give a Workflow our labels and an owner that Postgres can't store.
func TestWhatTheDatabaseRefusesKeepsNothingElseBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.rows.refused = "hostile"
		hostile := workflow("Running")
		hostile.Name, hostile.OwnerReferences = "hostile", []metav1.OwnerReference{{UID: "hostile", Controller: ptr.To(true)}}
		k.run(t, func() {
			k.OnAdd(hostile, false)
			k.OnAdd(workflow("Succeeded"), false)
			settle()
		})
		require.Equal(t, []store.Status{store.StatusSucceeded}, k.rows.statuses())
		require.Equal(t, 1, k.told)
	})
}
