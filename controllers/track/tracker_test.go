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

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// rows remembers what was observed; while it is down every call fails.
type rows struct {
	mu      sync.Mutex
	down    bool
	refused string // identity that the database can't store
	unended bool   // that no task has ended
	batches [][]store.Observation
	ended   string // how the only task has ended; empty where it has not
	count   int32  // how often it was reopened
	reopens []store.Retried
}

func (r *rows) Observe(_ context.Context, observations []store.Observation) ([]store.Moved, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errors.New("database is down")
	}
	if slices.ContainsFunc(observations, func(o store.Observation) bool { return r.refused != "" && o.Identity == r.refused }) {
		return nil, fmt.Errorf("observe workflows: %w", &pgconn.PgError{Code: "22021"})
	}
	r.batches = append(r.batches, observations)
	if r.ended != "" {
		return nil, nil
	}
	moved := make([]store.Moved, len(observations))
	for i, observation := range observations {
		moved[i] = store.Moved{
			ID: int64(i) + 1, Status: string(observation.Status), Namespace: observation.Namespace, WorkflowName: observation.WorkflowName,
		}
	}
	return moved, nil
}

// Open returns those that it is told of.
func (r *rows) Open(_ context.Context, names []types.NamespacedName) ([]types.NamespacedName, error) {
	if r.unended {
		return names, nil
	}
	return nil, nil
}

func (r *rows) EndedOtherwise(_ context.Context, seen []store.Observation) ([]store.Doubt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var doubts []store.Doubt
	for _, one := range seen {
		if r.ended != "" && r.ended != string(one.Status) {
			doubts = append(doubts, store.Doubt{
				Namespace: one.Namespace, WorkflowName: one.WorkflowName, WorkflowUID: one.WorkflowUID, Identity: one.Identity, Reopened: r.count,
			})
		}
	}
	return doubts, nil
}

func (r *rows) Reopen(_ context.Context, retried []store.Retried) ([]store.Reopened, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reopened []store.Reopened
	for _, one := range retried {
		if r.ended == "" || r.ended == string(one.Status) || r.count != one.Reopened {
			continue
		}
		r.reopens = append(r.reopens, one)
		r.ended = ""
		r.count++
		reopened = append(reopened, store.Reopened{Moved: store.Moved{ID: 1, Status: "Running", Namespace: one.Namespace, WorkflowName: one.WorkflowName}})
	}
	return reopened, nil
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

// workflow is that of the task with the identity abc, in a phase; a Workflow that Argo has
// not seen yet has none.
func workflow(phase string) *metav1.PartialObjectMetadata {
	object := argo.Workflow()
	object.Namespace, object.Name, object.UID = given.Namespace, "web-deploy-1", given.UID("web-deploy-1")
	object.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelIdentity: "abc"}
	if phase != "" {
		object.Labels["workflows.argoproj.io/phase"] = phase
	}
	return object
}

// task is one that wants the workflow.
var task = store.Active{ID: 7, Namespace: given.Namespace, WorkflowName: "web-deploy-1"}

// cluster has one Workflow, or none.
type cluster struct {
	client.Client
	mu       sync.Mutex
	workflow *metav1.PartialObjectMetadata
	words    string // Argo's message in its status
	gets     int
	down     int // how many requests fail
	patches  []string
}

func (c *cluster) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down > 0 {
		c.down--
		return errors.New("API server is down")
	}
	if c.workflow == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "workflows"}, "any")
	}
	c.gets++
	switch into := into.(type) {
	case *metav1.PartialObjectMetadata:
		c.workflow.DeepCopyInto(into)
	case *wfv1.Workflow:
		into.ObjectMeta = *c.workflow.ObjectMeta.DeepCopy()
		into.Status.Message = c.words
	}
	return nil
}

func (c *cluster) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, err := patch.Data(object)
	c.patches = append(c.patches, string(data))
	return err
}

// tracking is a tracker, how often Moved was told of a task, and which Workflows
// Recorded was told of.
type tracking struct {
	*Tracker
	rows     *rows
	cluster  *cluster
	events   *events.FakeRecorder
	told     int
	recorded []string
}

// newTracking returns a tracker that does nothing until run.
func newTracking() *tracking {
	k := &tracking{rows: &rows{}, cluster: &cluster{}, events: events.NewFakeRecorder(10)}
	k.Tracker = New(Config{
		Rows: k.rows, Live: k.cluster, Writer: k.cluster, Events: k.events,
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

func TestTheFirstListComesNoFasterThanItIsCommitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, listed := newTracking(), maxListed+2*maxGroup
		ctx, cancel := context.WithCancel(t.Context())
		list := func() {
			for i := range listed {
				one := workflow("Succeeded")
				one.Name = fmt.Sprintf("web-deploy-%d", i)
				k.handler(ctx).OnAdd(one, true)
			}
		}
		go list()
		settle()
		require.Equal(t, maxListed, k.seen.Waiting())
		another := workflow("Running")
		another.Name = "another"
		k.handler(ctx).OnUpdate(workflow(""), another)
		require.Equal(t, maxListed+1, k.seen.Waiting(), "what happens is taken at once")
		k.run(t, func() { time.Sleep(time.Minute) })
		require.Len(t, k.rows.statuses(), listed+1)
		cancel()
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
	unended := argo.Observe(workflow("Running"), true)
	for sentence, c := range map[string]struct {
		tell func(*tracking)
		want store.Observation
	}{
		"by its being about to go": {func(k *tracking) { k.OnUpdate(workflow("Running"), going) }, unended},
		"by an event":              {func(k *tracking) { k.OnDelete(workflow("Running")) }, unended},
		"by a list that lacks it": {func(k *tracking) {
			k.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "default/web-deploy-1", Obj: workflow("Running")})
		}, unended},
		"by a sweep": {func(k *tracking) { k.Gone(task) }, argo.Gone(task)},
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

func TestEveryReasonToLookAgainIsToldFromTheEchoOfOthersWrites(t *testing.T) {
	t.Parallel()
	going, noted := workflow("Running"), workflow("Running")
	going.DeletionTimestamp = ptr.To(metav1.Now())
	noted.Labels["team"], noted.ResourceVersion = "blue", "2"
	require.True(t, sameState(workflow("Running"), noted))
	require.False(t, sameState(workflow("Running"), going))
	require.False(t, sameState(workflow("Running"), "no object"))
	require.False(t, sameState(workflow(""), workflow("Running")))
}

func TestWhatIsNoWorkflowOfOursIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.run(t, func() {
			k.OnAdd("no object", false)
			k.OnAdd(argo.Workflow(), false)
			k.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "default/web", Obj: nil})
			settle()
		})
		require.Empty(t, k.rows.batches)
	})
}

func TestWhatIsToldOutOfOrderTakesNoEndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.OnUpdate(workflow("Running"), workflow("Succeeded"))
		k.Found("abc", workflow("Running")) // a sweep whose cache lags
		k.run(t, settle)
		require.Equal(t, []store.Status{store.StatusSucceeded}, k.rows.statuses())
	})
}

// The database ends a task as lost only after what was seen of its Workflow in the same
// group, and only where it has not ended.
func TestAnEndIsCommittedWithOrBeforeThatItsWorkflowIsGone(t *testing.T) {
	t.Parallel()
	for sentence, tell := range map[string]func(*tracking){
		"the end is seen first": func(k *tracking) {
			k.OnUpdate(workflow("Running"), workflow("Succeeded"))
			k.Gone(task)
		},
		"a sweep misses the Workflow first": func(k *tracking) {
			k.Gone(task)
			k.OnUpdate(workflow("Running"), workflow("Succeeded"))
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				tell(k)
				k.run(t, settle)
				require.Len(t, k.rows.batches, 1)
				require.ElementsMatch(t, []store.Observation{argo.Observe(workflow("Succeeded"), false), argo.Gone(task)}, k.rows.batches[0])
			})
		})
	}
}

func TestAWorkflowIsTheTasksByItsNameAndIdentityWhateverIdItsLabelSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		relabelled := workflow("Succeeded")
		relabelled.Labels[v1alpha1.LabelTask] = "4711"
		k.Found("abc", relabelled)
		k.run(t, settle)
		require.Equal(t, [][]store.Observation{{argo.Observe(workflow("Succeeded"), false)}}, k.rows.batches)
	})
}

// Somebody may copy our labels to a Workflow of another name, or make the Workflow anew
// under its name: what is seen of one hides nothing of the other.
func TestWhatIsSeenOfOneWorkflowHidesNothingOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		copied, anew, elsewhere := workflow("Failed"), workflow("Failed"), workflow("Failed")
		copied.Name, anew.UID, elsewhere.Namespace = "copy", "another", "other"
		for _, object := range []*metav1.PartialObjectMetadata{copied, anew, elsewhere, workflow("Running")} {
			k.OnAdd(object, false)
		}
		k.run(t, settle)
		require.ElementsMatch(t, []store.Status{store.StatusFailed, store.StatusFailed, store.StatusFailed, store.StatusRunning}, k.rows.statuses())
	})
}

// Somebody may give a Workflow a label that Postgres can't store.
func TestWhatTheDatabaseRefusesKeepsNothingElseBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.rows.refused = "hostile"
		hostile := workflow("Running")
		hostile.Name, hostile.Labels[v1alpha1.LabelIdentity] = "hostile", "hostile"
		k.run(t, func() {
			k.OnAdd(hostile, false)
			k.OnAdd(workflow("Succeeded"), false)
			settle()
		})
		require.Equal(t, []store.Status{store.StatusSucceeded}, k.rows.statuses())
		require.Equal(t, 1, k.told)
	})
}
