package build

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=cipipelines/status,verbs=patch

// Pipelines tells on each CiPipeline what its newest build is, and whether builds can run.
type Pipelines struct{ Config }

// NewPipelines returns a controller.
func NewPipelines(config Config) *Pipelines { return &Pipelines{Config: config} }

// Register adds the controller to the manager. A pipeline is looked at when it or one of its
// builds changes, and every while for its template.
func (p *Pipelines) Register(manager ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(manager).
		Named("cipipeline").
		For(&v1alpha1.CiPipeline{}).
		Watches(&v1alpha1.CiBuild{}, ofBuilds()).
		WithOptions(options()).
		Complete(p)
	if err != nil {
		return fmt.Errorf("register cipipeline: %w", err)
	}
	return nil
}

// buildsPause is for how long changes of a pipeline's builds are gathered: a pipeline may have
// thousands, and all are looked at.
const buildsPause = 5 * time.Second

// ofBuilds has the pipeline of each build that changes looked at, a moment later.
func ofBuilds() handler.EventHandler {
	later := func(object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		name := object.(*v1alpha1.CiBuild).Spec.PipelineRef.Name
		queue.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}, buildsPause)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			later(e.Object, queue)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			later(e.ObjectNew, queue)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			later(e.Object, queue)
		},
	}
}

// Reconcile writes the status of a pipeline where it has changed.
func (p *Pipelines) Reconcile(ctx context.Context, key reconcile.Request) (reconcile.Result, error) {
	pipeline := &v1alpha1.CiPipeline{}
	if err := p.Cache.Get(ctx, key.NamespacedName, pipeline); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	status := *pipeline.Status.DeepCopy()
	status.ObservedGeneration = pipeline.Generation
	ready, err := p.ready(ctx, pipeline)
	if err != nil {
		return reconcile.Result{}, err
	}
	ready.ObservedGeneration = pipeline.Generation
	meta.SetStatusCondition(&status.Conditions, ready)
	if status.LastBuild, err = p.lastBuild(ctx, key.NamespacedName); err != nil {
		return reconcile.Result{}, err
	}
	result := reconcile.Result{}
	if ready.Status != metav1.ConditionTrue {
		result.RequeueAfter = templatePause
	}
	if equality.Semantic.DeepEqual(pipeline.Status, status) {
		return result, nil
	}
	return result, p.patch(ctx, pipeline, status)
}

func (p *Pipelines) patch(ctx context.Context, pipeline *v1alpha1.CiPipeline, status v1alpha1.CiPipelineStatus) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	changed := pipeline.DeepCopy()
	changed.Status = status
	err := p.Writer.Status().Patch(ctx, changed, client.MergeFrom(pipeline))
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("patch status of CiPipeline: %w", err)
	}
	return nil
}

// ready is whether builds of the pipeline can run.
func (p *Pipelines) ready(ctx context.Context, pipeline *v1alpha1.CiPipeline) (metav1.Condition, error) {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: string(v1alpha1.ReasonReady), Message: "builds run here"}
	switch {
	case pipeline.Spec.Suspend:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, string(v1alpha1.ReasonSuspended), "spec.suspend is true: builds wait, and those that end trigger nothing"
		return ready, nil
	case pipeline.Spec.Workflow == nil:
		ready.Message = "builds run elsewhere: whoever runs one patches the status of its CiBuild"
		return ready, nil
	}
	if cluster := trigger.BuildCluster(pipeline); cluster != "" {
		ready.Message = "builds run in TargetCluster " + cluster // where a template that is missing is found when it is needed
		return ready, nil
	}
	reason, message, err := argo.UnreadyBuild(ctx, p.Cache, pipeline)
	if err != nil {
		return ready, fmt.Errorf("find template: %w", err)
	}
	if reason != "" {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, string(reason), message
	}
	return ready, nil
}

// lastBuild is the newest build of the pipeline; nil where it has none.
func (p *Pipelines) lastBuild(ctx context.Context, pipeline types.NamespacedName) (*v1alpha1.LastBuild, error) {
	newest, err := lookup.NewestBuild(ctx, p.Cache, pipeline)
	if err != nil || newest == nil {
		return nil, err
	}
	last := &v1alpha1.LastBuild{Name: newest.Name, Phase: newest.Status.Phase, CreatedAt: newest.CreationTimestamp}
	if len(newest.Status.Artifacts) > 0 {
		last.Image = newest.Status.Artifacts[0].Image
	}
	return last, nil
}
