package backlog_test

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
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/controllers/backlog"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

// argoWorld is active tasks, the oldest first, their Workflows, and a gate that they close.
type argoWorld struct {
	client.Reader
	mu        sync.Mutex
	began     time.Time
	workflows []*wfv1.Workflow
	closed    bool
	reads     int
	broken    bool
	suspended []int64
	told      int
}

// newWorld has so many Workflows, each a minute older than the next. The ids of their tasks
// begin at 1.
func newWorld(workflows int) *argoWorld {
	w := &argoWorld{began: time.Now(), closed: true}
	for i := range workflows {
		workflow := &wfv1.Workflow{}
		workflow.Namespace, workflow.Name, workflow.UID = "shop", fmt.Sprintf("web-%02d", i+1), types.UID(fmt.Sprintf("uid-%d", i+1))
		workflow.Status.Phase = wfv1.WorkflowRunning
		w.workflows = append(w.workflows, workflow)
	}
	return w
}

func (w *argoWorld) OldestActive(_ context.Context, most int, passedOver ...int64) ([]store.Holder, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest []store.Holder
	for i, workflow := range w.workflows {
		id := int64(i + 1)
		if workflow == nil || len(oldest) == most || slices.Contains(passedOver, id) {
			continue
		}
		oldest = append(oldest, store.Holder{
			ID: id, Namespace: workflow.Namespace, WorkflowName: workflow.Name, WorkflowUID: string(workflow.UID), Since: w.began.Add(time.Duration(i) * time.Minute),
		})
	}
	return oldest, nil
}

func (w *argoWorld) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	if w.broken {
		return errors.New("connection refused")
	}
	for _, workflow := range w.workflows {
		if workflow != nil && workflow.Name == key.Name {
			workflow.DeepCopyInto(object.(*wfv1.Workflow))
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "workflows"}, key.Name)
}

// change changes the world, and lets time pass.
func (w *argoWorld) change(passes time.Duration, do func()) {
	w.mu.Lock()
	do()
	w.mu.Unlock()
	time.Sleep(passes)
	synctest.Wait()
}

// approve says whether a Workflow waits for an approval.
func (w *argoWorld) approval(id int, waits bool) {
	phase := wfv1.NodeSucceeded
	if waits {
		phase = wfv1.NodeRunning
	}
	w.workflows[id-1].Status.Nodes = wfv1.Nodes{"approve": {Type: wfv1.NodeTypeSuspend, Phase: phase}}
}

func (w *argoWorld) finder() *backlog.Finder {
	return backlog.New(backlog.Config{
		Rows: w, Live: w,
		Closed:    func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.closed },
		Suspended: func(tasks []int64) { w.mu.Lock(); defer w.mu.Unlock(); w.suspended = tasks },
		OnFound:   func() { w.mu.Lock(); defer w.mu.Unlock(); w.told++ }, Log: logr.Discard(),
	})
}

// run starts a finder until the test ends.
func (w *argoWorld) run(t *testing.T) *backlog.Finder {
	t.Helper()
	f := w.finder()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Start(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	return f
}

func nothing() {}

func TestTheOldestHoldersAreNamedOnceTheGateHasBeenClosedForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(30)
		w.approval(2, true)
		f := w.run(t)
		w.change(29*time.Second, nothing)
		require.Empty(t, f.Holders())
		require.Zero(t, w.reads)
		w.change(6*time.Second, nothing)
		found := f.Holders()
		require.Len(t, found, 20)
		require.Equal(t, backlog.Holder{Namespace: "shop", Name: "web-01", Since: w.began}, found[0])
		require.Equal(t, "shop/web-02 since 2000-01-01T00:01:00Z (suspended, not counted)", found[1].String())
		require.Equal(t, []int64{2}, w.suspended)
		require.Equal(t, 20, w.reads)
		require.Equal(t, 1, w.told)
		w.change(10*time.Minute, nothing)
		require.LessOrEqual(t, w.reads, 20+10*(20+1), "once a minute")
		require.Less(t, w.told, 4, "told when it changes: the next oldest was added")

		w.change(10*time.Second, func() { w.closed = false })
		require.Empty(t, f.Holders())
	})
}

func TestAWorkflowThatIsResumedOrEndsCountsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(3)
		for id := 1; id <= 3; id++ {
			w.approval(id, true)
		}
		w.run(t)
		w.change(time.Minute, nothing)
		require.Equal(t, []int64{1, 2, 3}, w.suspended)
		// It opens since they do not count, and they are looked at again all the same.
		w.change(2*time.Minute, func() {
			w.closed = false
			w.approval(1, false)
			w.workflows[1] = nil
		})
		require.Equal(t, []int64{3}, w.suspended)
		w.change(2*time.Minute, func() { w.workflows[2].UID = "another" })
		require.Empty(t, w.suspended)
	})
}

// Behind twenty that are suspended there may be more of them.
func TestMoreThanTwentySuspendedWorkflowsAreFoundInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(50)
		for id := 1; id <= 50; id++ {
			w.approval(id, true)
		}
		w.run(t)
		w.change(4*time.Minute, nothing)
		require.Len(t, w.suspended, 50)
		w.change(4*time.Minute, func() {
			for id := range 50 {
				w.approval(id+1, false)
			}
		})
		require.Empty(t, w.suspended, "each is looked at again")
	})
}

func TestWhatCannotBeReadCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.approval(1, true)
		f := w.run(t)
		w.change(time.Minute, func() { w.broken = true })
		require.Empty(t, w.suspended)
		require.Len(t, f.Holders(), 2, "they are named all the same")
		w.change(2*time.Minute, func() { w.broken = false })
		require.Equal(t, []int64{1}, w.suspended)
	})
}

func TestStartStopStress(t *testing.T) {
	t.Parallel()
	lifecycle.Stress(t, func() manager.Runnable { return newWorld(1).finder() })
}
