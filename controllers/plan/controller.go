// Package plan observes finished CiBuilds and ended stages, and writes the rows
// that say what is to be triggered, in one transaction for each.
package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// concurrency is how many builds are planned at once, each with one database
	// connection.
	concurrency = 2
	// retryFirst and retryMost bound the pause after an error: a build must not
	// wait long for a database that has come back.
	retryFirst, retryMost = 100 * time.Millisecond, 5 * time.Second
	// busyRetry is when a build is looked at again that waits for another one of its
	// CiPipeline, which is planned in chunks.
	busyRetry = 2 * time.Second
)

// +kubebuilder:rbac:groups=penstock.dev,resources=cipipelines;cdpipelines,verbs=get;list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds,verbs=list;watch

// Rows is what planning writes.
type Rows interface {
	// IsPlanned tells whether the build's plan is committed.
	IsPlanned(ctx context.Context, buildUID string) (bool, error)
	// Plan commits a plan once; false where it was committed before.
	Plan(ctx context.Context, plan store.BuildPlan) (bool, error)
	// BeginPlan begins one that is committed in chunks; false where it was begun before.
	BeginPlan(ctx context.Context, plan store.LargePlan) (bool, error)
	// OpenPlans returns plans of which chunks are left, the one first that waited longest, but
	// for those of these builds.
	OpenPlans(ctx context.Context, most int, passedOver []string) ([]store.OpenPlan, error)
	// NextChunk returns the pipelines that come next of a plan.
	NextChunk(ctx context.Context, buildUID string, most int) ([]store.PlanPipeline, error)
	// Artifacts returns those of a build.
	Artifacts(ctx context.Context, buildUID string) ([]v1alpha1.Artifact, error)
	// CommitChunk commits a chunk once, and tells whether it was the last.
	CommitChunk(ctx context.Context, chunk store.Chunk) (last bool, err error)
	// Unfollowed returns ended stages whose consequence is not committed, but for the
	// tasks with these ids.
	Unfollowed(ctx context.Context, most int, passedOver []int64) ([]store.Ended, error)
	// Follow commits consequences, all or none.
	Follow(ctx context.Context, consequences []store.Consequence) error
}

// Config is what a Controller needs.
type Config struct {
	// Cache reads objects from memory, and may lag behind.
	Cache client.Reader
	// Live lists, at the API server, the children of what has ended, so that one
	// created a moment before is never missed.
	Live client.Reader
	Rows Rows
	// Decider decides.
	Decider trigger.Decider
	// Planned is told, after the commit, that there are tasks to dispatch.
	Planned func()
	// Compared waits until what Kubernetes tells of earlier runs was compared with the rows:
	// a restored database has forgotten the last of them. Optional.
	Compared func(ctx context.Context) error
	// OnUnplanned is called with a build whose status is to say how its planning goes.
	OnUnplanned func(build types.NamespacedName)
	// Bounds are the bounds of this and of all that plans beside it. Defaults to its own.
	Bounds *Bounds
	// Troubles are told why builds are not planned. Defaults to its own.
	Troubles *Troubles
	// OnLarge is called when a plan has begun that is committed in chunks. Optional.
	OnLarge func()
}

// withDefaults fills in what is optional.
func (c Config) withDefaults() Config {
	c.Bounds = cmp.Or(c.Bounds, NewBounds())
	c.Troubles = cmp.Or(c.Troubles, NewTroubles())
	if c.OnLarge == nil {
		c.OnLarge = func() {}
	}
	return c
}

// Controller plans finished builds.
type Controller struct{ Config }

// New returns a controller.
func New(config Config) *Controller { return &Controller{Config: config.withDefaults()} }

// Register adds the controller to the manager. A build is looked at when it
// changes, and when a CiPipeline that it waits for appears.
func (c *Controller) Register(manager ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(manager).
		Named("plan").
		For(&v1alpha1.CiBuild{}).
		Watches(&v1alpha1.CiPipeline{}, handler.EnqueueRequestsFromMapFunc(c.waitingBuilds)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryMost),
		}).
		Complete(c)
	if err != nil {
		return fmt.Errorf("register plan: %w", err)
	}
	return nil
}

// Reconcile plans one build, once.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	build := &v1alpha1.CiBuild{}
	if err := c.Cache.Get(ctx, request.NamespacedName, build); err != nil {
		if apierrors.IsNotFound(err) {
			c.Troubles.over(request.NamespacedName)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !NeedsPlan(build) {
		c.Troubles.over(request.NamespacedName)
		return reconcile.Result{}, nil
	}
	if c.Compared != nil {
		if err := c.Compared(ctx); err != nil {
			return reconcile.Result{}, nil //nolint:nilerr // it ends with the process alone
		}
	}
	planned, known, err := c.planOnce(ctx, build)
	if !known { // else what commits its chunks notes how that goes
		c.Troubles.note(ctx, request.NamespacedName, err)
	}
	if !planned {
		c.OnUnplanned(request.NamespacedName)
	}
	switch {
	case ctx.Err() != nil:
		return reconcile.Result{}, nil //nolint:nilerr // what a shutdown interrupts is planned at the next start
	case errors.Is(err, store.ErrPlanBusy):
		return reconcile.Result{RequeueAfter: busyRetry}, nil
	case store.IsInvalid(err):
		return reconcile.Result{}, reconcile.TerminalError(err)
	default:
		return reconcile.Result{}, err
	}
}

// planOnce returns whether the build is planned now, and whether its plan was known before:
// then its status may not say so.
func (c *Controller) planOnce(ctx context.Context, build *v1alpha1.CiBuild) (planned, known bool, err error) {
	known, err = c.Rows.IsPlanned(ctx, string(build.UID))
	if err != nil || known {
		return false, known, err
	}
	planned, err = c.plan(ctx, build)
	return planned, false, err
}

// Plan is Reconcile for a sweep.
func (c *Controller) Plan(ctx context.Context, build types.NamespacedName) error {
	_, err := c.Reconcile(ctx, reconcile.Request{NamespacedName: build})
	return err
}

// NeedsPlan tells whether a build has ended and was never planned. One whose rows
// the database has lost is not planned again: its children would all be deployed
// anew.
func NeedsPlan(build *v1alpha1.CiBuild) bool {
	if !build.Status.Phase.IsTerminal() || !build.DeletionTimestamp.IsZero() {
		return false
	}
	planned := meta.FindStatusCondition(build.Status.Conditions, v1alpha1.ConditionPlanned)
	return planned == nil || (planned.Status != "True" && planned.Reason != string(v1alpha1.ReasonRecordsLost))
}

// plan decides for every pipeline below the build, and commits all of it at once.
// A build without its CiPipeline waits for it.
func (c *Controller) plan(ctx context.Context, build *v1alpha1.CiBuild) (bool, error) {
	parent, err := c.parent(ctx, build)
	if err != nil || parent == nil {
		return false, err
	}
	direct, err := lookup.Below(ctx, c.Live, build.Namespace, v1alpha1.ParentCiPipeline, parent.Name)
	if err != nil {
		return false, err
	}
	children := &family{
		Family: lookup.NewFamily(ctx, c.Cache, build.Namespace),
		kind:   v1alpha1.ParentCiPipeline, name: parent.Name, direct: direct,
	}
	facts := trigger.FactsOf(build)
	below := trigger.Descendants(parent.Name, children)
	if children.Err != nil {
		return false, children.Err
	}
	pairs := len(below) * max(len(build.Status.Artifacts), 1)
	if pairs > c.Bounds.chunk {
		return false, c.begin(ctx, store.LargePlan{
			Build: facts, Artifacts: build.Status.Artifacts, Suspended: parent.Spec.Suspend, Below: below,
		})
	}
	release, err := c.Bounds.take(ctx, pairs)
	if err != nil {
		return false, err
	}
	defer release()
	decisions := c.Decider.Build(facts, parent, build.Status.Artifacts, children)
	if children.Err != nil {
		return false, children.Err
	}
	failpoint.Hit(failpoint.PlanBeforeInsert)
	planned, err := c.Rows.Plan(ctx, store.BuildPlan{Build: facts, Artifacts: build.Status.Artifacts, Decisions: decisions})
	if err != nil || !planned {
		return false, err
	}
	failpoint.Hit(failpoint.PlanAfterCommit)
	c.Planned()
	observe(decisions)
	log.FromContext(ctx).Info("planned build", "phase", build.Status.Phase, "decisions", len(decisions))
	return true, nil
}

// begin has a large build planned in chunks.
func (c *Controller) begin(ctx context.Context, plan store.LargePlan) error {
	begun, err := c.Rows.BeginPlan(ctx, plan)
	if err != nil || !begun {
		return err
	}
	log.FromContext(ctx).Info("planning build in chunks", "artifacts", len(plan.Artifacts), "pipelines", len(plan.Below))
	c.OnLarge()
	return nil
}

// parent returns the build's CiPipeline, or nil where there is none. That it is
// suspended is asked of the API server: the cache may be behind, and what is not
// triggered now never will be.
func (c *Controller) parent(ctx context.Context, build *v1alpha1.CiBuild) (*v1alpha1.CiPipeline, error) {
	key := types.NamespacedName{Namespace: build.Namespace, Name: build.Spec.PipelineRef.Name}
	parent := &v1alpha1.CiPipeline{}
	err := c.Cache.Get(ctx, key, parent)
	if err == nil && parent.Spec.Suspend {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		parent = &v1alpha1.CiPipeline{}
		err = c.Live.Get(ctx, key, parent)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get CiPipeline: %w", err)
	}
	return parent, nil
}

// waitingBuilds returns the builds of a CiPipeline that are not planned.
func (c *Controller) waitingBuilds(ctx context.Context, pipeline client.Object) []reconcile.Request {
	names, err := lookup.Builds(ctx, c.Cache, client.ObjectKeyFromObject(pipeline), NeedsPlan)
	if err != nil && !errors.Is(err, context.Canceled) {
		log.FromContext(ctx).Error(err, "waiting builds not found in cache, the next sweep plans them")
	}
	requests := make([]reconcile.Request, len(names))
	for i, name := range names {
		requests[i] = reconcile.Request{NamespacedName: name}
	}
	return requests
}
