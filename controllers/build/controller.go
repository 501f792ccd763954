// Package build observes CiBuilds whose CiPipeline has a workflow and the tasks that run them,
// and writes those tasks and the status of the CiBuilds.
package build

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// concurrency is how many builds are looked at at once, each with one database connection.
	concurrency = 2
	// retryFirst and retryMost bound the pause after an error.
	retryFirst, retryMost = 100 * time.Millisecond, 5 * time.Second
	// templatePause is how often a build is looked at that waits for its template.
	templatePause = 5 * time.Second
)

// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds,verbs=get;list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds/status,verbs=patch
// +kubebuilder:rbac:groups=penstock.dev,resources=cipipelines,verbs=get;list;watch

// Rows is what building reads and writes.
type Rows interface {
	// QueueBuilds commits the tasks of builds of one pipeline and ref, each once, and gives
	// turns.
	QueueBuilds(ctx context.Context, queued []store.QueuedBuild, templateExists bool) error
	// GiveBuildTurns gives the turns of a pipeline and ref anew.
	GiveBuildTurns(ctx context.Context, pipeline store.PipelineRef, ref string, templateExists bool) error
	// BuildTasks returns the tasks of builds, by the UID of their CiBuild.
	BuildTasks(ctx context.Context, buildUIDs ...string) (map[string]store.BuildTask, error)
	// EndTemplateWait ends a build that has waited too long for its template.
	EndTemplateWait(ctx context.Context, task int64, message string) error
	// CancelHeldBuild ends a build that waits in a CiPipeline that was deleted.
	CancelHeldBuild(ctx context.Context, task int64, message string) error
	// EndedBuilds returns builds whose task has ended and is not settled, but for some.
	EndedBuilds(ctx context.Context, most int, passedOver []int64) ([]store.EndedBuild, error)
	// SettleBuilds notes that the CiBuilds of these tasks say how they ended.
	SettleBuilds(ctx context.Context, ids []int64) error
	// StopAbandonedBuilds ends what is under way of builds whose CiBuild was deleted or ended.
	StopAbandonedBuilds(ctx context.Context, most int) (int64, error)
}

// Config is what the package's loops need.
type Config struct {
	// Cache reads objects from memory; Live at the API server.
	Cache, Live client.Reader
	// Writer patches the status of CiBuilds and CiPipelines.
	Writer client.Client
	Rows   Rows
	// Events records events on CiBuilds.
	Events events.EventRecorder
	// TemplateWait is how long a build waits for a template that does not exist.
	TemplateWait time.Duration
	// Compared waits until what Kubernetes tells of earlier runs was compared with the rows.
	// Optional.
	Compared func(ctx context.Context) error
	// OnCommit is called after tasks were committed, and OnQueued with the build of one.
	OnCommit func()
	OnQueued func(build types.NamespacedName)
	// Recorded is told of Workflows whose outputs are not needed any more.
	Recorded func([]types.NamespacedName)
	// Elsewhere are the other clusters where builds run. Optional: without it there are none.
	Elsewhere Elsewhere
	Log       logr.Logger
}

// Controller queues builds.
type Controller struct{ Config }

// New returns a controller.
func New(config Config) *Controller { return &Controller{Config: config} }

// Register adds the controller to the manager. A build is looked at when it changes, and when
// its CiPipeline changes.
func (c *Controller) Register(manager ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(manager).
		Named("build").
		For(&v1alpha1.CiBuild{}).
		Watches(&v1alpha1.CiPipeline{}, handler.EnqueueRequestsFromMapFunc(c.openBuilds)).
		WithOptions(options()).
		Complete(c)
	if err != nil {
		return fmt.Errorf("register build: %w", err)
	}
	return nil
}

func options() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: concurrency,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryMost),
	}
}

// Reconcile queues a build that has to run here, once, and lets it go on when the template
// that it waits for is there.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	build, pipeline, err := c.read(ctx, request.NamespacedName)
	switch {
	case err != nil || build == nil:
		return reconcile.Result{}, err
	case pipeline == nil:
		return reconcile.Result{}, c.orphan(ctx, build)
	}
	if c.Compared != nil {
		if err := c.Compared(ctx); err != nil {
			return reconcile.Result{}, nil //nolint:nilerr // it ends with the process alone
		}
	}
	waits, err := c.queue(ctx, build, pipeline)
	if err != nil || !waits {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: templatePause}, nil
}

// read returns the build and its pipeline: no build where it has ended or runs elsewhere, and
// no pipeline where that is not known.
func (c Config) read(ctx context.Context, key types.NamespacedName) (*v1alpha1.CiBuild, *v1alpha1.CiPipeline, error) {
	build, pipeline := &v1alpha1.CiBuild{}, &v1alpha1.CiPipeline{}
	if err := c.Cache.Get(ctx, key, build); err != nil {
		return nil, nil, client.IgnoreNotFound(err)
	}
	if build.Status.Phase.IsTerminal() || !build.DeletionTimestamp.IsZero() {
		return nil, nil, nil
	}
	err := c.Cache.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: build.Spec.PipelineRef.Name}, pipeline)
	if apierrors.IsNotFound(err) {
		return build, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get CiPipeline: %w", err)
	}
	if pipeline.Spec.Workflow == nil {
		return nil, nil, nil
	}
	return build, pipeline, nil
}

// queue commits the build's task where there is none and the pipeline is not suspended. It
// returns whether the build waits for its template.
func (c *Controller) queue(ctx context.Context, build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline) (waits bool, err error) {
	task, err := c.find(ctx, build)
	if err != nil {
		return false, err
	}
	if task != nil && task.PipelineUID != string(pipeline.UID) {
		return false, c.cancel(ctx, build, task)
	}
	waits = waitsForTemplate(task)
	if isQueued := task != nil && !waits; isQueued || startsNothing(task, pipeline) {
		return false, nil
	}
	exists, known, err := c.templateExists(ctx, clusterOf(task, pipeline), pipeline)
	if err != nil || (!known && waits) {
		return waits, err
	}
	switch {
	case task == nil:
		err = c.commit(ctx, build, pipeline, exists)
	case exists:
		err = c.Rows.GiveBuildTurns(ctx, refOf(pipeline), build.Spec.Ref, true)
	case task.For >= c.TemplateWait:
		err = c.Rows.EndTemplateWait(ctx, task.ID, c.overdue(pipeline))
	default:
		return true, nil
	}
	if err != nil {
		return false, err
	}
	c.OnCommit()
	c.OnQueued(client.ObjectKeyFromObject(build))
	return !exists, nil
}

// clusterOf is where a build runs, or will.
func clusterOf(task *store.BuildTask, pipeline *v1alpha1.CiPipeline) string {
	if task != nil {
		return task.Cluster
	}
	return trigger.BuildCluster(pipeline)
}

// startsNothing tells whether a build is not to be queued for now.
func startsNothing(task *store.BuildTask, pipeline *v1alpha1.CiPipeline) bool {
	return task == nil && pipeline.Spec.Suspend
}

func waitsForTemplate(task *store.BuildTask) bool {
	return task != nil && task.Status == store.StatusHeld && task.Reason == v1alpha1.ReasonTemplate
}

// orphan ends a build that waits in a CiPipeline that was deleted: nothing would let it go on.
func (c *Controller) orphan(ctx context.Context, build *v1alpha1.CiBuild) error {
	task, err := c.find(ctx, build)
	if err != nil || task == nil || task.Status != store.StatusHeld {
		return err
	}
	err = c.Live.Get(ctx, types.NamespacedName{Namespace: build.Namespace, Name: build.Spec.PipelineRef.Name}, &v1alpha1.CiPipeline{})
	if err == nil { // the cache is behind, and its next change has the build looked at
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("get CiPipeline: %w", err)
	}
	return c.cancel(ctx, build, task)
}

// cancel ends what waits of a build. What is in the queue is told when it is claimed, and what
// is active goes on.
func (c *Controller) cancel(ctx context.Context, build *v1alpha1.CiBuild, task *store.BuildTask) error {
	if task.Status != store.StatusHeld {
		return nil
	}
	err := c.Rows.CancelHeldBuild(ctx, task.ID, fmt.Sprintf("CiPipeline %s was deleted before the build's turn came", build.Spec.PipelineRef.Name))
	if err == nil {
		c.OnCommit() // the Ender tells
	}
	return err
}

// commit queues the build with all others of its pipeline and ref that are not queued yet:
// after a start they come in any order, and one that is queued after a newer one has no turn.
func (c *Controller) commit(ctx context.Context, build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline, templateExists bool) error {
	open, err := lookup.OpenBuilds(ctx, c.Cache, client.ObjectKeyFromObject(pipeline), build.Spec.Ref)
	if err != nil {
		return err
	}
	uids := make([]string, len(open))
	for i, one := range open {
		uids[i] = string(one.UID)
	}
	tasks, err := c.Rows.BuildTasks(ctx, uids...)
	if err != nil {
		return err
	}
	var queued []store.QueuedBuild
	for _, one := range open {
		if _, exists := tasks[string(one.UID)]; !exists {
			queued = append(queued, store.QueuedBuild{Build: trigger.FactsOf(one), Pipeline: refOf(pipeline), Priority: trigger.BuildPriority(one), Cluster: trigger.BuildCluster(pipeline)})
		}
	}
	if err := c.Rows.QueueBuilds(ctx, queued, templateExists); err != nil {
		return err
	}
	failpoint.Hit(failpoint.BuildAfterCommit)
	for _, one := range queued {
		c.OnQueued(types.NamespacedName{Namespace: one.Build.Namespace, Name: one.Build.Name})
	}
	return nil
}

func (c Config) find(ctx context.Context, build *v1alpha1.CiBuild) (*store.BuildTask, error) {
	tasks, err := c.Rows.BuildTasks(ctx, string(build.UID))
	if err != nil {
		return nil, err
	}
	if task, exists := tasks[string(build.UID)]; exists {
		return &task, nil
	}
	return nil, nil
}

func (c *Controller) overdue(pipeline *v1alpha1.CiPipeline) string {
	kind, key := argo.TemplateKey(pipeline.Namespace, pipeline.Spec.Workflow.TemplateRef)
	return fmt.Sprintf("%s %s did not appear within %s (TEMPLATE_WAIT): create it, or correct spec.workflow.templateRef of CiPipeline %s, and build again",
		kind, key.Name, c.TemplateWait, pipeline.Name)
}

// refOf is the pipeline as the rows know it.
func refOf(pipeline *v1alpha1.CiPipeline) store.PipelineRef {
	return store.PipelineRef{
		UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: pipeline.Name,
		Policy: cmp.Or(pipeline.Spec.ConcurrencyPolicy, v1alpha1.ConcurrencyLatest),
	}
}

// openBuilds returns the builds of a CiPipeline that have not ended.
func (c Config) openBuilds(ctx context.Context, pipeline client.Object) []reconcile.Request {
	open := func(build *v1alpha1.CiBuild) bool { return !build.Status.Phase.IsTerminal() }
	names, err := lookup.Builds(ctx, c.Cache, client.ObjectKeyFromObject(pipeline), open)
	if err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Error(err, "builds not found in cache, their next change has them looked at")
	}
	requests := make([]reconcile.Request, len(names))
	for i, name := range names {
		requests[i] = reconcile.Request{NamespacedName: name}
	}
	return requests
}
