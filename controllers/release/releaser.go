// Package release observes Workflows whose end is committed, and takes our finalizer
// off them.
//
// The finalizer keeps what a crash may make us look for again: without it a Workflow
// that ends and is removed while nobody looks would be taken for one that failed, or
// for one that was never made, and be made once more.
package release

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/loop"
)

const (
	// writers is how many writes are in flight at once.
	writers = 4
	// writeTimeout bounds one write, waiting for the API's token bucket included.
	writeTimeout = 60 * time.Second
	// groupSize is how many Workflows are released together, interval the least time from
	// the start of one group to the start of the next, and longest the most where none can
	// be released.
	groupSize, interval, longest = 200, time.Second, 30 * time.Second
	// urgentSize and urgentInterval are the same where triggers wait for it.
	urgentSize, urgentInterval = 20, 50 * time.Millisecond
	// maxFailures are counted: interval << maxFailures is above longest.
	maxFailures = 5
	// drainTimeout bounds what is still released once the context has ended.
	drainTimeout = 5 * time.Second
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get;patch

// Config is what a Releaser needs.
type Config struct {
	// Cache reads Workflows from memory, and may lag behind; Live at the API server,
	// in the background class of its token bucket.
	Cache, Live client.Reader
	// Writer patches Workflows in the same class.
	Writer client.Writer
	// Urgent tells whether Workflows of a namespace go first, since triggers there wait for
	// them to be gone. Optional. UrgentWriter patches those, in the trigger class.
	Urgent       func(namespace string) bool
	UrgentWriter client.Writer
	// OnDue is told since when the oldest Workflow is due of those that are being released; the
	// zero time where none is. Optional.
	OnDue func(since time.Time)
	Log   logr.Logger
}

// Releaser lets Workflows go, in two loops: those that triggers wait for, and all others.
type Releaser struct {
	Config
	urgent, others *waiting
	loops          []*loop.Loop
	started        atomic.Bool
	// failures are the groups of others in a row of which nothing could be released.
	failures int
}

// New returns a releaser that does nothing until it is started.
func New(config Config) *Releaser {
	r := &Releaser{Config: config, urgent: newWaiting(), others: newWaiting()}
	if r.Urgent == nil {
		r.Urgent = func(string) bool { return false }
	}
	if r.UrgentWriter == nil {
		r.UrgentWriter = r.Writer
	}
	r.loops = []*loop.Loop{r.newLoop(r.others, r.releaseOthers), r.newLoop(r.urgent, r.releaseUrgent)}
	if r.OnDue == nil {
		r.OnDue = func(time.Time) {}
	}
	return r
}

func (r *Releaser) newLoop(from *waiting, run func(context.Context) (time.Duration, error)) *loop.Loop {
	return loop.New(loop.Config{
		Name: "release", Run: run, Signal: &from.signal, Retry: longest, Log: r.Log,
		OnError: func(err error, retryIn time.Duration) {
			r.Log.Info("workflows not released, will retry", "retryIn", retryIn.String(), "error", err.Error())
		},
	})
}

// Recorded says that the ends of these Workflows are committed. It never blocks.
func (r *Releaser) Recorded(names []types.NamespacedName) {
	for _, name := range names {
		if r.Urgent(name.Namespace) {
			r.urgent.add(name)
		} else {
			r.others.add(name)
		}
	}
}

// Hurry lets those go first that wait in a namespace, as from the moment on that it is
// urgent. It never blocks.
func (r *Releaser) Hurry(namespace string) {
	r.urgent.add(r.others.takeOf(namespace)...)
}

// NeedLeaderElection keeps two replicas from writing the same.
func (r *Releaser) NeedLeaderElection() bool { return true }

// Start releases until the context ends, and then what waits, for at most drainTimeout.
// It may be called once; later calls return loop.ErrStarted.
func (r *Releaser) Start(ctx context.Context) error {
	if r.started.Swap(true) {
		return loop.ErrStarted
	}
	var all errgroup.Group
	for _, l := range r.loops {
		all.Go(func() error { return l.Start(ctx) })
	}
	err := all.Wait()
	r.drain(ctx)
	return err
}

// releaseOthers puts those back that could not be released, behind those that have come
// meanwhile: one that can never be released keeps no other waiting. Where nothing could
// be released it rests, ever longer.
func (r *Releaser) releaseOthers(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	names, since := r.others.take(groupSize)
	if len(names) == 0 {
		return 0, nil
	}
	r.OnDue(since)
	failed, last := r.release(ctx, r.Writer, names)
	r.OnDue(time.Time{})
	r.Recorded(failed)
	if len(failed) < len(names) {
		r.failures = 0
		return restOf(interval, began), nil
	}
	rest := min(interval<<r.failures, longest)
	r.failures = min(r.failures+1, maxFailures)
	return rest, fmt.Errorf("release %d workflows: %w", len(failed), last)
}

// releaseUrgent puts those that could not be released behind all others.
func (r *Releaser) releaseUrgent(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	names, _ := r.urgent.take(urgentSize)
	if len(names) == 0 {
		return 0, nil
	}
	failed, _ := r.release(ctx, r.UrgentWriter, names)
	r.others.add(failed...)
	return restOf(urgentInterval, began), nil
}

// restOf is what is left of the time between the starts of two groups.
func restOf(interval time.Duration, began time.Time) time.Duration {
	return max(interval-time.Since(began), 0)
}

// release returns those that could not be released, and why the last of them.
func (r *Releaser) release(ctx context.Context, writer client.Writer, names []types.NamespacedName) (failed []types.NamespacedName, last error) {
	release := func(ctx context.Context, name types.NamespacedName) error { return r.releaseOne(ctx, writer, name) }
	for i, err := range bounded.ForEach(ctx, writers, writeTimeout, names, release) {
		if err != nil {
			failed, last = append(failed, names[i]), err
			crash.Tell(r.Log, "release", err)
		}
	}
	return failed, last
}

// drain releases what waits, each once. The next start does the rest.
func (r *Releaser) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	var left int
	var why error
	for _, from := range []*waiting{r.urgent, r.others} {
		for names, _ := from.take(groupSize); len(names) > 0; names, _ = from.take(groupSize) {
			failed, err := r.release(ctx, r.Writer, names)
			if err != nil {
				left, why = left+len(failed), err
			}
		}
	}
	if why != nil {
		r.Log.Info("workflows not released, the next start does it", "workflows", left, "error", why.Error())
	}
}
