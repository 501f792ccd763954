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
	Log    logr.Logger
}

// Releaser lets Workflows go.
type Releaser struct {
	Config
	over *batch.Committer[types.NamespacedName]
	// failures are the groups in a row of which nothing could be released.
	failures int
}

// New returns a releaser that does nothing until it is started.
func New(config Config) *Releaser {
	r := &Releaser{Config: config}
	r.over = batch.NewCoalescing(batch.Config[types.NamespacedName]{
		Flush: r.releaseAll, FlushTimeout: groupSize/writers*writeTimeout + longest,
		MinInterval: interval, MaxSize: groupSize, MaxWaiting: maxWaiting,
		OnError: r.tell,
	}, func(name types.NamespacedName) types.NamespacedName { return name })
	return r
}

// Recorded says that the ends of these Workflows are committed. It never blocks.
func (r *Releaser) Recorded(names []types.NamespacedName) {
	for _, name := range names {
		_ = r.over.Add(name) // one that is not taken is seen again after the next start
	}
}

// NeedLeaderElection keeps two replicas from writing the same.
func (r *Releaser) NeedLeaderElection() bool { return true }

// Start releases until the context ends.
func (r *Releaser) Start(ctx context.Context) error {
	if err := r.over.Run(ctx); err != nil {
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
	for i, err := range bounded.ForEach(ctx, writers, writeTimeout, names, r.release) {
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

func (r *Releaser) tell(err error, workflows int, retryIn time.Duration) {
	r.Log.Info("workflows not released, will retry", "workflows", workflows, "retryIn", retryIn.String(), "error", err.Error())
}

// release believes the cache, unless the API server says that it is out of date.
func (r *Releaser) release(ctx context.Context, name types.NamespacedName) error {
	err := r.releaseAs(ctx, r.Cache, name)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		err = r.releaseAs(ctx, r.Live, name)
	}
	return client.IgnoreNotFound(err)
}

// releaseAs takes the finalizer off the Workflow as the reader has it, and no other's.
func (r *Releaser) releaseAs(ctx context.Context, reader client.Reader, name types.NamespacedName) error {
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
	if err := r.Writer.Patch(ctx, released, patch); err != nil {
		return fmt.Errorf("patch workflow: %w", err)
	}
	return nil
}
