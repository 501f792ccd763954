package build

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// writeTimeout bounds one status write, waiting for the API's token bucket included.
const writeTimeout = 30 * time.Second

// Teller tells how builds stand that run here and have not ended. It is apart from the
// Controller, so that no build waits to be queued while a status waits for a token.
type Teller struct {
	Config
	queue atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]
}

// NewTeller returns a controller.
func NewTeller(config Config) *Teller { return &Teller{Config: config} }

// Register adds the controller to the manager. A build is looked at when it changes, when its
// task moves, and when its CiPipeline changes.
func (t *Teller) Register(manager ctrl.Manager) error {
	keep := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		t.queue.Store(&queue)
		return nil
	})
	err := ctrl.NewControllerManagedBy(manager).
		Named("build-status").
		For(&v1alpha1.CiBuild{}).
		Watches(&v1alpha1.CiPipeline{}, handler.EnqueueRequestsFromMapFunc(t.openBuilds)).
		WatchesRawSource(keep).
		WithOptions(options()).
		Complete(t)
	if err != nil {
		return fmt.Errorf("register build-status: %w", err)
	}
	return nil
}

// Moved looks again at builds of which the task moved. It never blocks.
func (t *Teller) Moved(tasks []store.Moved) {
	for _, task := range tasks {
		if trigger.IsBuildName(task.WorkflowName) {
			t.Look(types.NamespacedName{Namespace: task.Namespace, Name: task.BuildName})
		}
	}
}

// Look looks at a build. It never blocks; before the start it does nothing, since the start
// looks at all.
func (t *Teller) Look(build types.NamespacedName) {
	if queue := t.queue.Load(); queue != nil {
		(*queue).Add(reconcile.Request{NamespacedName: build})
	}
}

// Reconcile tells how a build stands. What has ended is the Ender's.
func (t *Teller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	build, pipeline, err := t.read(ctx, request.NamespacedName)
	if err != nil || pipeline == nil {
		return reconcile.Result{}, err
	}
	task, err := t.find(ctx, build)
	if err != nil || (task == nil && !pipeline.Spec.Suspend) {
		return reconcile.Result{}, err // it is queued in a moment, and told then
	}
	return reconcile.Result{}, t.write(ctx, build, underWay(build, pipeline, task))
}

// write patches the status where it has changed. The patch is refused where the build has
// changed since it was read: that has it looked at again.
func (c Config) write(ctx context.Context, build *v1alpha1.CiBuild, status v1alpha1.CiBuildStatus) error {
	if equality.Semantic.DeepEqual(build.Status, status) {
		return nil
	}
	err := patchStatus(ctx, c.Writer, build, status)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// patchStatus fails with a conflict where the build has changed since it was read.
func patchStatus(ctx context.Context, writer client.Client, build *v1alpha1.CiBuild, status v1alpha1.CiBuildStatus) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	changed := build.DeepCopy()
	changed.Status = status
	patch := client.MergeFromWithOptions(build, client.MergeFromWithOptimisticLock{})
	if err := writer.Status().Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("patch status of CiBuild %s: %w", build.Name, err)
	}
	return nil
}
