// Package backlog observes the Workflows that keep the backlog gate closed, and says which
// they are and which of them wait for somebody; it writes metrics only.
//
// Those that Argo has suspended do no work: they do not count for the gate.
package backlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// lookInterval is how often the gate is looked at, closedFor how long it must have been
	// closed before the holders are fetched, fetchInterval how often they are then.
	lookInterval, closedFor, fetchInterval = 5 * time.Second, 30 * time.Second, time.Minute
	// mostHolders is how many Workflows are fetched at once, and of those that are known to be
	// suspended how many are looked at again.
	mostHolders = 20
	// readers is how many requests are in flight at once, readTimeout bounds one of them,
	// waiting for the API's token bucket included.
	readers, readTimeout = 4, 30 * time.Second
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get

var (
	holders = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_backlog_holders",
		Help: "Workflows among the oldest 20 that keep the backlog gate closed, by whether Argo has suspended them.",
	}, []string{"suspended"})
	oldestHolder = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_backlog_oldest_holder_timestamp_seconds",
		Help: "When the oldest Workflow was created that keeps the backlog gate closed, in seconds since 1970; 0 while the gate is open.",
	})
)

func init() { metrics.Registry.MustRegister(holders, oldestHolder) }

// Rows is what the finder reads from the database.
type Rows interface {
	// OldestActive returns the tasks that have had a Workflow for the longest time, the oldest
	// first, but for some.
	OldestActive(ctx context.Context, most int, passedOver ...int64) ([]store.Holder, error)
}

// Config is what a Finder needs. Every field is required.
type Config struct {
	Rows Rows
	// Live reads whole Workflows at the API server, in the background class of its token
	// bucket.
	Live client.Reader
	// Closed tells whether a backlog gate is closed.
	Closed func() bool
	// Suspended is told the tasks whose Workflows do not count for the gate.
	Suspended func(tasks []int64)
	// OnFound is called when the holders have changed.
	OnFound func()
	Log     logr.Logger
}

// Holder is a Workflow that keeps the gate closed, or would if it were not suspended.
type Holder struct {
	Namespace, Name string
	// Since is when it was created.
	Since time.Time
	// Suspended means that it waits for somebody, and does not count.
	Suspended bool
}

// Finder finds the holders.
type Finder struct {
	*loop.Loop
	Config
	closedAt, fetchedAt time.Time
	// suspended are the tasks whose Workflows were suspended when they were looked at last;
	// checked is when that was.
	suspended map[int64]store.Holder
	checked   map[int64]time.Time

	mu    sync.Mutex
	found []Holder
}

// New returns a finder that does nothing until it is started.
func New(config Config) *Finder {
	f := &Finder{Config: config, suspended: map[int64]store.Holder{}, checked: map[int64]time.Time{}}
	f.Loop = loop.New(loop.Config{Name: "backlog", Run: f.runOnce, Interval: lookInterval, Log: config.Log})
	return f
}

// Holders returns the oldest Workflows that keep the gate closed, the oldest first; none
// while the gate is open or has been closed for a short time only.
func (f *Finder) Holders() []Holder {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.found)
}

func (f *Finder) runOnce(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	closed := f.Closed()
	if !closed {
		f.closedAt = time.Time{}
		f.tell(nil)
	} else if f.closedAt.IsZero() {
		f.closedAt = now
	}
	isDue := now.Sub(f.fetchedAt) >= fetchInterval
	names := closed && now.Sub(f.closedAt) >= closedFor
	if !isDue || (!names && len(f.suspended) == 0) {
		return 0, nil
	}
	f.fetchedAt = now
	return 0, f.fetch(ctx, names, now)
}

// fetch looks at those again that were suspended, and, where the gate needs it, at the
// oldest that are not known to be.
func (f *Finder) fetch(ctx context.Context, names bool, now time.Time) error {
	tasks := f.longestUnchecked()
	if names {
		oldest, err := f.Rows.OldestActive(ctx, mostHolders, slices.Sorted(maps.Keys(f.suspended))...)
		if err != nil {
			return err
		}
		tasks = append(tasks, oldest...)
	}
	var counted []store.Holder
	for i, result := range bounded.Map(ctx, readers, readTimeout, tasks, f.isSuspended) {
		task := tasks[i]
		if result.Err != nil {
			crash.Tell(f.Log, "backlog", result.Err)
			f.Log.Info("workflow not looked at", "workflow", task.WorkflowName, "namespace", task.Namespace, "error", result.Err.Error())
		}
		if result.Value {
			f.suspended[task.ID], f.checked[task.ID] = task, now
			continue
		}
		delete(f.suspended, task.ID)
		delete(f.checked, task.ID)
		counted = append(counted, task)
	}
	f.Suspended(slices.Sorted(maps.Keys(f.suspended)))
	if names {
		f.tell(f.oldest(counted))
	}
	return nil
}

// longestUnchecked are those of the suspended that were looked at first.
func (f *Finder) longestUnchecked() []store.Holder {
	tasks := slices.SortedFunc(maps.Values(f.suspended), func(a, b store.Holder) int {
		return f.checked[a.ID].Compare(f.checked[b.ID])
	})
	return tasks[:min(len(tasks), mostHolders)]
}

// isSuspended is false, too, of one that has ended, or that is another by now.
func (f *Finder) isSuspended(ctx context.Context, task store.Holder) (bool, error) {
	workflow := &wfv1.Workflow{}
	err := f.Live.Get(ctx, types.NamespacedName{Namespace: task.Namespace, Name: task.WorkflowName}, workflow)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get workflow: %w", err)
	}
	isIts := task.WorkflowUID == "" || string(workflow.UID) == task.WorkflowUID
	return isIts && !argo.HasFinished(workflow) && argo.IsSuspended(workflow), nil
}

// oldest returns the oldest holders, whether they count or not.
func (f *Finder) oldest(counted []store.Holder) []Holder {
	all := append(slices.Collect(maps.Values(f.suspended)), counted...)
	slices.SortFunc(all, func(a, b store.Holder) int { return a.Since.Compare(b.Since) })
	var oldest []Holder
	for _, task := range all[:min(len(all), mostHolders)] {
		_, suspended := f.suspended[task.ID]
		oldest = append(oldest, Holder{Namespace: task.Namespace, Name: task.WorkflowName, Since: task.Since, Suspended: suspended})
	}
	return oldest
}

// tell keeps what was found, and tells it where it has changed.
func (f *Finder) tell(found []Holder) {
	f.mu.Lock()
	same := slices.Equal(f.found, found)
	f.found = found
	f.mu.Unlock()
	if same {
		return
	}
	suspended, names := 0, []string(nil)
	for _, holder := range found {
		if holder.Suspended {
			suspended++
		}
		names = append(names, holder.String())
	}
	holders.WithLabelValues("true").Set(float64(suspended))
	holders.WithLabelValues("false").Set(float64(len(found) - suspended))
	oldestHolder.Set(0)
	if len(found) > 0 {
		oldestHolder.Set(float64(found[0].Since.Unix()))
		f.Log.Info("backlog gate closed, these Workflows are the oldest that hold it", "holders", names)
	}
	f.OnFound()
}

// String names the Workflow, and says since when it is there and whether it counts.
func (h Holder) String() string {
	text := fmt.Sprintf("%s/%s since %s", h.Namespace, h.Name, h.Since.UTC().Format(time.RFC3339))
	if h.Suspended {
		text += " (suspended, not counted)"
	}
	return text
}
