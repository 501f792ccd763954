package report

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
)

// Watch makes the reporter look again at a pipeline, and at those below it, when
// it or a CiPipeline comes, changes or goes, since that can make them ready or
// not; and at a build when it changes.
func (r *Reporter) Watch(ctx context.Context, informers cache.Informers) error {
	watches := []struct {
		object client.Object
		mark   func(context.Context, types.NamespacedName)
	}{
		{&v1alpha1.CiPipeline{}, r.ciPipelineChanged},
		{&v1alpha1.CdPipeline{}, r.cdPipelineChanged},
		{&v1alpha1.CiBuild{}, func(_ context.Context, key types.NamespacedName) { r.Builds(key) }},
	}
	for _, watch := range watches {
		informer, err := informers.GetInformer(ctx, watch.object)
		if err != nil {
			return fmt.Errorf("watch %T: %w", watch.object, err)
		}
		if _, err := informer.AddEventHandler(handler(ctx, watch.mark)); err != nil {
			return fmt.Errorf("watch %T: %w", watch.object, err)
		}
	}
	return nil
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

// handler calls mark for an object that came, went, or has a new generation or, on
// a build, a new status.
func handler(ctx context.Context, mark func(context.Context, types.NamespacedName)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { markObject(ctx, object, mark) },
		UpdateFunc: func(before, after any) {
			if worthALook(before, after) {
				markObject(ctx, after, mark)
			}
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			markObject(ctx, object, mark)
		},
	}
}

func markObject(ctx context.Context, object any, mark func(context.Context, types.NamespacedName)) {
	if known, ok := object.(client.Object); ok {
		mark(ctx, client.ObjectKeyFromObject(known))
	}
}

// worthALook is false for the echo of the reporter's own writes.
func worthALook(before, after any) bool {
	if build, ok := after.(*v1alpha1.CiBuild); ok {
		return before.(*v1alpha1.CiBuild).Status.Phase != build.Status.Phase
	}
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	return isOld && isCurrent && old.GetGeneration() != current.GetGeneration()
}
