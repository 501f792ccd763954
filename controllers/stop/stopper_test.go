package stop

import (
	"cmp"
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
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

var errDown = errors.New("etcdserver: request timed out")

// rows are the tasks whose Workflow is to be stopped, in memory.
type rows struct {
	mu    sync.Mutex
	tasks []store.Stopping
	err   error
}

func (r *rows) Stopping(_ context.Context, most int, passedOver ...int64) ([]store.Stopping, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	var stopping []store.Stopping
	for _, task := range r.tasks {
		if len(stopping) < most && !slices.Contains(passedOver, task.ID) {
			stopping = append(stopping, task)
		}
	}
	return stopping, nil
}

// are are the tasks from now on, and how the database answers.
func (r *rows) are(err error, tasks ...store.Stopping) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tasks, r.err = tasks, err
}

func task(id int64) store.Stopping {
	return store.Stopping{ID: id, Namespace: given.Namespace, WorkflowName: fmt.Sprintf("web-deploy-%d", id)}
}

func tasks(n int64) []store.Stopping {
	list := make([]store.Stopping, n)
	for i := range list {
		list[i] = task(int64(i) + 1)
	}
	return list
}

// bench is a stopper before an API server in memory.
type bench struct {
	*Stopper
	rows   *rows
	server client.WithWatch

	mu      sync.Mutex
	patched []string // names
	refuse  map[string]error
	slow    time.Duration
	active  int
	peak    int
}

func newBench(t *testing.T, workflows ...string) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, wfv1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for _, name := range workflows {
		builder.WithObjects(&wfv1.Workflow{
			ObjectMeta: metav1.ObjectMeta{Namespace: given.Namespace, Name: name},
			Spec:       wfv1.WorkflowSpec{Entrypoint: "main"},
		})
	}
	b := &bench{rows: &rows{}, server: builder.Build(), refuse: map[string]error{}}
	b.Stopper = New(Config{Rows: b.rows, Writer: interceptor.NewClient(b.server, interceptor.Funcs{Patch: b.patch}), Log: logr.Discard()})
	return b
}

func (b *bench) patch(ctx context.Context, server client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	b.mu.Lock()
	b.patched = append(b.patched, object.GetName())
	b.active++
	b.peak = max(b.peak, b.active)
	refuse, slow := b.refuse[object.GetName()], b.slow
	b.mu.Unlock()
	under := pause.For(ctx, slow)
	b.mu.Lock()
	b.active--
	b.mu.Unlock()
	if refuse != nil || !under {
		return cmp.Or(refuse, ctx.Err())
	}
	if _, exists := b.exists(ctx, object.GetName()); !exists && slow > 0 {
		return nil // a test about many makes none
	}
	return server.Patch(ctx, object, patch, options...)
}

func (b *bench) exists(ctx context.Context, name string) (*wfv1.Workflow, bool) {
	workflow := &wfv1.Workflow{}
	err := b.server.Get(ctx, client.ObjectKey{Namespace: given.Namespace, Name: name}, workflow)
	return workflow, err == nil
}

// calls are how often each Workflow was asked to stop.
func (b *bench) calls() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := map[string]int{}
	for _, name := range b.patched {
		calls[name]++
	}
	return calls
}

// run starts it, does what is given, and returns when it has ended.
func (b *bench) run(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Start(ctx) }()
	do()
	cancel()
	require.NoError(t, <-ended)
}

func sleep(long time.Duration) {
	time.Sleep(long)
	synctest.Wait()
}

func TestArgoIsAskedToStopAWorkflowAndNothingElseOfItChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "web-deploy-1", "web-deploy-2")
		b.rows.are(nil, task(1))
		b.run(t, func() { sleep(time.Second) })
		stopped, _ := b.exists(t.Context(), "web-deploy-1")
		require.Equal(t, wfv1.WorkflowSpec{Entrypoint: "main", Shutdown: wfv1.ShutdownStrategyStop}, stopped.Spec)
		other, _ := b.exists(t.Context(), "web-deploy-2")
		require.Empty(t, other.Spec.Shutdown)
		require.Equal(t, map[string]int{"web-deploy-1": 1}, b.calls())
	})
}

func TestAWorkflowIsAskedOnceAndAgainWhereItGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "web-deploy-1")
		b.rows.are(nil, task(1))
		b.run(t, func() {
			sleep(again - time.Second)
			require.Equal(t, 1, b.calls()["web-deploy-1"])
			sleep(2 * interval)
			require.Equal(t, 2, b.calls()["web-deploy-1"], "it runs on")
			b.rows.are(nil)
			sleep(10 * again)
			require.Equal(t, 2, b.calls()["web-deploy-1"], "it has ended")
			require.Empty(t, b.asked)
		})
	})
}

func TestAStopIsAskedForSoonAfterASignalAndWithoutOneAfterAnInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "web-deploy-1", "web-deploy-2")
		b.run(t, func() {
			sleep(time.Second)
			b.rows.are(nil, task(1))
			for range 100 {
				b.Wake() // never blocks
			}
			sleep(minInterval)
			require.Equal(t, 1, b.calls()["web-deploy-1"])
			sleep(interval / 2)
			b.rows.are(nil, task(1), task(2))
			sleep(minInterval)
			require.Zero(t, b.calls()["web-deploy-2"], "nobody has told")
			sleep(interval)
			require.Equal(t, 1, b.calls()["web-deploy-2"])
		})
	})
}

func TestAStopThatFailsIsAskedForAgainAndKeepsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "web-deploy-1", "web-deploy-2", "web-deploy-3")
		b.rows.are(nil, tasks(3)...)
		b.refuse["web-deploy-2"] = errDown
		b.run(t, func() {
			sleep(time.Second)
			require.Equal(t, map[string]int{"web-deploy-1": 1, "web-deploy-2": 1, "web-deploy-3": 1}, b.calls())
			sleep(3 * interval)
			require.Greater(t, b.calls()["web-deploy-2"], 2)
			b.mu.Lock()
			delete(b.refuse, "web-deploy-2")
			b.mu.Unlock()
			sleep(interval)
			asked := b.calls()
			sleep(2 * interval)
			require.Equal(t, asked, b.calls())
			require.Equal(t, 1, asked["web-deploy-1"])
		})
		stopped, _ := b.exists(t.Context(), "web-deploy-2")
		require.Equal(t, wfv1.ShutdownStrategyStop, stopped.Spec.Shutdown)
	})
}

// The sweep finds out, and ends the task.
func TestAWorkflowThatIsGoneIsNoError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.rows.are(nil, task(1))
		b.run(t, func() { sleep(again - time.Second) })
		require.Equal(t, map[string]int{"web-deploy-1": 1}, b.calls())
	})
}

func TestADatabaseThatIsDownIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "web-deploy-1")
		b.rows.are(errDown, task(1))
		b.run(t, func() {
			sleep(3 * interval)
			require.Empty(t, b.calls())
			b.rows.are(nil, task(1))
			sleep(interval)
			require.Equal(t, 1, b.calls()["web-deploy-1"])
		})
	})
}

func TestAPanicEndsNoMoreThanItsStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "web-deploy-1", "web-deploy-2")
		whole := b.Writer
		b.Writer = panicking{whole}
		b.rows.are(nil, tasks(2)...)
		b.run(t, func() {
			sleep(time.Second)
			require.Equal(t, map[string]int{"web-deploy-2": 1}, b.calls())
		})
	})
}

// panicking is a writer that panics at the first Workflow.
type panicking struct{ client.Writer }

func (p panicking) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	if object.GetName() == "web-deploy-1" {
		panic("no such Workflow")
	}
	return p.Writer.Patch(ctx, object, patch, options...)
}

// A thousand runs are cancelled at once, and the first hundreds of Workflows go on running.
func TestWorkflowsThatGoOnKeepNoOthersFromBeingAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 5*most + 7
		b := newBench(t)
		b.slow = time.Millisecond
		b.rows.are(nil, tasks(n)...)
		b.run(t, func() { sleep(again / 2) })
		calls := b.calls()
		require.Len(t, calls, n)
		for name, times := range calls {
			require.Equal(t, 1, times, name)
		}
		require.Equal(t, writers, b.peak)
	})
}

func TestAStopperIsStartedOnceAndByTheLeaderAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		require.True(t, b.NeedLeaderElection())
		b.run(t, func() { sleep(time.Second) })
		require.ErrorIs(t, b.Start(t.Context()), loop.ErrStarted)
	})
}

// It is stopped while a write is under way, and waits for that.
func TestAStopperThatIsStoppedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.slow = time.Second
		b.rows.are(nil, tasks(3)...)
		b.run(t, func() {
			sleep(time.Millisecond)
			require.Equal(t, 3, b.active)
		})
		synctest.Wait()
		require.Zero(t, b.active)
	})
}
