// Package stop observes tasks that are to be stopped, and has Argo stop their Workflows.
package stop

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// interval is how often it looks for tasks that nobody told of, since the reply to the
	// commit was lost; minInterval is the least time between two looks.
	interval, minInterval = 5 * time.Second, 500 * time.Millisecond
	// again is after which time a Workflow that still runs is asked to stop once more.
	again = time.Minute
	// writers is how many writes are in flight at once, most how many tasks one look stops.
	writers, most = 4, 200
	// writeTimeout bounds one write, waiting for the API's token bucket included.
	writeTimeout = 60 * time.Second
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=patch

// Rows is what a Stopper reads.
type Rows interface {
	// Stopping returns up to most tasks whose Workflow is to be stopped, but for those with
	// these ids.
	Stopping(ctx context.Context, most int, passedOver ...int64) ([]store.Stopping, error)
}

// Config is what a Stopper needs.
type Config struct {
	Rows Rows
	// Writer patches Workflows.
	Writer client.Writer
	Log    logr.Logger
}

// Stopper asks for the stop of each Workflow once, and again where it goes on running.
type Stopper struct {
	*loop.Loop
	Config
	wake  loop.Signal
	asked map[int64]time.Time // when each was asked last, of those that were lately
}

// New returns a stopper that does nothing until it is started.
func New(config Config) *Stopper {
	s := &Stopper{Config: config, asked: map[int64]time.Time{}}
	s.Loop = loop.New(loop.Config{
		Name: "stop", Run: s.runOnce, Signal: &s.wake, Interval: interval, MinInterval: minInterval, Log: config.Log,
	})
	return s
}

// Wake says that there may be tasks to stop. It never blocks.
func (s *Stopper) Wake() { s.wake.Notify() }

// runOnce passes over what was asked lately, so that Workflows that go on running keep no
// others from being asked.
func (s *Stopper) runOnce(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	tasks, err := s.Rows.Stopping(ctx, most, s.askedLately(now)...)
	if err != nil {
		return 0, err
	}
	var last error
	for i, err := range bounded.ForEach(ctx, writers, writeTimeout, tasks, s.stop) {
		if client.IgnoreNotFound(err) != nil {
			crash.Tell(s.Log, "stop", err)
			last = err
			continue
		}
		s.asked[tasks[i].ID] = now
	}
	if len(tasks) == most {
		s.wake.Notify()
	}
	return 0, last
}

// askedLately returns the tasks that were asked to stop lately, and forgets the others.
func (s *Stopper) askedLately(now time.Time) []int64 {
	maps.DeleteFunc(s.asked, func(_ int64, at time.Time) bool { return now.Sub(at) > again })
	return slices.Collect(maps.Keys(s.asked))
}

func (s *Stopper) stop(ctx context.Context, task store.Stopping) error {
	failpoint.Hit(failpoint.StopBeforePatch)
	return argo.Stop(ctx, s.Writer, types.NamespacedName{Namespace: task.Namespace, Name: task.WorkflowName})
}
