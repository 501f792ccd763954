package report

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/argo"
)

// watched is a kind of object, and what is to be done when one comes, changes or goes.
type watched struct {
	informer cache.Informer
	// known is for those that there are at the start, changed for all that follows.
	known, changed mark
}

type mark func(context.Context, types.NamespacedName)

// Watch makes the reporter look again, once it is started, at a pipeline, and at those
// below it, when it or a CiPipeline comes, changes or goes, or its template comes, goes or
// declares other parameters, since that can make them ready or not; and at a build when it
// changes.
func (r *Reporter) Watch(ctx context.Context, informers cache.Informers) error {
	for _, kind := range []struct {
		object         client.Object
		known, changed mark
	}{
		{&v1alpha1.CiPipeline{}, nothing, r.ciPipelineChanged},
		{&v1alpha1.CdPipeline{}, r.pipelineKnown, r.cdPipelineChanged},
		{&v1alpha1.CiBuild{}, r.buildKnown, r.buildChanged},
		{argo.Template(argo.KindTemplate), nothing, r.templateChanged(argo.KindTemplate)},
		{argo.Template(argo.KindClusterTemplate), nothing, r.templateChanged(argo.KindClusterTemplate)},
	} {
		informer, err := informers.GetInformer(ctx, kind.object)
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind.object, err)
		}
		r.watched = append(r.watched, watched{informer: informer, known: kind.known, changed: kind.changed})
	}
	return nil
}

// listen has the informers tell the reporter until stop is called.
func (r *Reporter) listen(ctx context.Context) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, one := range stops {
			one()
		}
	}
	for _, kind := range r.watched {
		registered, err := kind.informer.AddEventHandler(handler(ctx, kind.known, kind.changed))
		if err != nil {
			return stop, fmt.Errorf("watch for reports: %w", err)
		}
		// It fails only if the handler is not registered.
		stops = append(stops, func() { _ = kind.informer.RemoveEventHandler(registered) })
	}
	return stop, nil
}

func nothing(context.Context, types.NamespacedName) {}

func (r *Reporter) buildKnown(_ context.Context, key types.NamespacedName) { r.builds.addLater(key) }

func (r *Reporter) buildChanged(_ context.Context, key types.NamespacedName) { r.Builds(key) }

func (r *Reporter) pipelineKnown(_ context.Context, key types.NamespacedName) {
	r.pipelines.addLater(key)
}

func (r *Reporter) ciPipelineChanged(ctx context.Context, key types.NamespacedName) {
	r.below(ctx, key.Namespace, v1alpha1.ParentCiPipeline, key.Name, map[string]bool{})
}

func (r *Reporter) cdPipelineChanged(ctx context.Context, key types.NamespacedName) {
	r.Pipelines(key)
	r.below(ctx, key.Namespace, v1alpha1.ParentCdPipeline, key.Name, map[string]bool{key.Name: true})
}

// below marks every descendant, each once.
func (r *Reporter) below(ctx context.Context, namespace string, kind v1alpha1.ParentKind, name string, seen map[string]bool) {
	children, err := lookup.Children(ctx, r.Cache, namespace, kind, name)
	if err != nil {
		r.Log.Error(err, "children not found in cache, the next sweep reports them")
		return
	}
	for i := range children {
		child := children[i].Name
		if seen[child] {
			continue
		}
		seen[child] = true
		r.Pipelines(types.NamespacedName{Namespace: namespace, Name: child})
		r.below(ctx, namespace, v1alpha1.ParentCdPipeline, child, seen)
	}
}

// handler calls known for each object that there is, and then changed for one that
// came, went, or has a new generation or, on a build, a new status.
func handler(ctx context.Context, known, changed mark) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, isKnown bool) {
			if isKnown {
				markObject(ctx, object, known)
				return
			}
			markObject(ctx, object, changed)
		},
		UpdateFunc: func(before, after any) {
			if needsReport(before, after) {
				markObject(ctx, after, changed)
			}
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			markObject(ctx, object, changed)
		},
	}
}

func markObject(ctx context.Context, object any, mark mark) {
	if known, ok := object.(client.Object); ok {
		mark(ctx, client.ObjectKeyFromObject(known))
	}
}

// needsReport ignores updates caused by our own status writes.
func needsReport(before, after any) bool {
	if build, ok := after.(*v1alpha1.CiBuild); ok {
		return before.(*v1alpha1.CiBuild).Status.Phase != build.Status.Phase
	}
	if template, isTemplate := after.(*unstructured.Unstructured); isTemplate {
		return !argo.HaveSameParameters(before.(*unstructured.Unstructured), template)
	}
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	return isOld && isCurrent && old.GetGeneration() != current.GetGeneration()
}
