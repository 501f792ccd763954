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
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/pause"
)

const (
	// writers is how many writes are in flight at once.
	writers = 4
	// writeTimeout bounds one write, waiting for the API's token bucket included.
	writeTimeout = 60 * time.Second
	// groupSize is how many Workflows are released together, interval the least time
	// between two groups, and longest the most where none can be released.
	groupSize, interval, longest = 200, time.Second, 30 * time.Second
	// urgentSize and urgentInterval are the same where triggers wait for it.
	urgentSize, urgentInterval = 20, 50 * time.Millisecond
	// mostFailures are counted: interval << mostFailures is above longest.
	mostFailures = 5
	// maxWaiting bounds the Workflows whose release waits. One more is released
	// after the next start.
	maxWaiting = 1_000_000
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

// Releaser lets Workflows go.
type Releaser struct {
	Config
	over, urgent *batch.Committer[types.NamespacedName]
	waiting      *waiting
	// failures are the groups in a row of which nothing could be released.
	failures int
}

// New returns a releaser that does nothing until it is started.
func New(config Config) *Releaser {
	r := &Releaser{Config: config, waiting: newWaiting()}
	if r.Urgent == nil {
		r.Urgent = func(string) bool { return false }
	}
	if r.UrgentWriter == nil {
		r.UrgentWriter = r.Writer
	}
	if r.OnDue == nil {
		r.OnDue = func(time.Time) {}
	}
	name := func(name types.NamespacedName) types.NamespacedName { return name }
	r.over = batch.NewCoalescing(batch.Config[types.NamespacedName]{
		Flush: r.releaseAll, FlushTimeout: groupSize/writers*writeTimeout + longest,
		MinInterval: interval, MaxSize: groupSize, MaxWaiting: maxWaiting,
		OnError: r.tell,
	}, name)
	r.urgent = batch.NewCoalescing(batch.Config[types.NamespacedName]{
		Flush: r.releaseUrgent, FlushTimeout: urgentSize/writers*writeTimeout + longest,
		MinInterval: urgentInterval, MaxSize: urgentSize, MaxWaiting: maxWaiting,
		OnError: r.tell,
	}, name)
	return r
}

// Recorded says that the ends of these Workflows are committed. It never blocks.
func (r *Releaser) Recorded(names []types.NamespacedName) {
	for _, name := range names {
		if r.Urgent(name.Namespace) {
			_ = r.urgent.Add(name)
			continue
		}
		r.waiting.add(name, time.Now())
		_ = r.over.Add(name) // one that is not taken is seen again after the next start
	}
}

// Hurry lets those go first that wait in a namespace, as from the moment on that it is
// urgent. It never blocks.
func (r *Releaser) Hurry(namespace string) {
	for _, name := range r.waiting.take(namespace) {
		_ = r.urgent.Add(name) // its place among the others stays, and finds it released
	}
}

// NeedLeaderElection keeps two replicas from writing the same.
func (r *Releaser) NeedLeaderElection() bool { return true }

// Start releases until the context ends.
func (r *Releaser) Start(ctx context.Context) error {
	var both errgroup.Group
	both.Go(func() error { return r.over.Run(ctx) })
	both.Go(func() error { return r.urgent.Run(ctx) })
	if err := both.Wait(); err != nil {
		r.Log.Info("workflows not released, the next start does it", "error", err.Error())
	}
	return nil
}

// releaseAll puts those back that could not be released, behind those that have come
// meanwhile: one that can never be released keeps no other waiting. Where nothing could
// be released it rests, ever longer. It returns an error only where its time is over.
func (r *Releaser) releaseAll(ctx context.Context, names []types.NamespacedName) error {
	var failed []types.NamespacedName
	var last error
	r.OnDue(r.waiting.oldest(names))
	errs := bounded.ForEach(ctx, writers, writeTimeout, names, r.releaseWith(r.Writer))
	r.OnDue(time.Time{})
	for i, err := range errs {
		r.waiting.remove(names[i])
		if err != nil {
			failed, last = append(failed, names[i]), err
			crash.Tell(r.Log, "release", err)
		}
	}
	if last != nil && ctx.Err() != nil {
		return fmt.Errorf("release %d workflows: %w", len(failed), last)
	}
	r.Recorded(failed)
	if len(failed) < len(names) {
		r.failures = 0
		return nil
	}
	retryIn := min(interval<<r.failures, longest)
	r.failures = min(r.failures+1, mostFailures)
	r.tell(last, len(failed), retryIn)
	pause.For(ctx, retryIn)
	return nil
}

// releaseUrgent puts those that could not be released behind all others.
func (r *Releaser) releaseUrgent(ctx context.Context, names []types.NamespacedName) error {
	for i, err := range bounded.ForEach(ctx, writers, writeTimeout, names, r.releaseWith(r.UrgentWriter)) {
		if err == nil {
			continue
		}
		crash.Tell(r.Log, "release", err)
		if ctx.Err() != nil {
			return fmt.Errorf("release %d workflows: %w", len(names), err)
		}
		_ = r.over.Add(names[i])
	}
	return nil
}

func (r *Releaser) tell(err error, workflows int, retryIn time.Duration) {
	r.Log.Info("workflows not released, will retry", "workflows", workflows, "retryIn", retryIn.String(), "error", err.Error())
}

// releaseWith believes the cache, unless the API server says that it is out of date.
func (r *Releaser) releaseWith(writer client.Writer) func(context.Context, types.NamespacedName) error {
	return func(ctx context.Context, name types.NamespacedName) error {
		err := releaseAs(ctx, r.Cache, writer, name)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			err = releaseAs(ctx, r.Live, writer, name)
		}
		return client.IgnoreNotFound(err)
	}
}

// releaseAs takes the finalizer off the Workflow as the reader has it, and no other's.
func releaseAs(ctx context.Context, reader client.Reader, writer client.Writer, name types.NamespacedName) error {
	workflow := argo.Workflow()
	if err := reader.Get(ctx, name, workflow); err != nil {
		return fmt.Errorf("get workflow: %w", err)
	}
	if !argo.HasEnded(workflow) && workflow.GetDeletionTimestamp() == nil {
		return nil // it was retried in Argo: its next end is to be recorded as well
	}
	released := workflow.DeepCopy()
	if !controllerutil.RemoveFinalizer(released, v1alpha1.FinalizerRecorded) {
		return nil
	}
	patch := client.MergeFromWithOptions(workflow, client.MergeFromWithOptimisticLock{})
	if err := writer.Patch(ctx, released, patch); err != nil {
		return fmt.Errorf("patch workflow: %w", err)
	}
	return nil
}
