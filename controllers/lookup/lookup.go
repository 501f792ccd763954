// Package lookup finds a pipeline's parents, children and builds in the cache, by
// field index.
package lookup

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Names of the field indexes.
const (
	parentIndex   = "penstock.parent"
	pipelineIndex = "penstock.pipeline"
	templateIndex = "penstock.template"
)

// AddIndexes registers the field indexes that the other functions use. It must be
// called before the cache starts.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	byParent := func(object client.Object) []string {
		ref := object.(*v1alpha1.CdPipeline).Spec.ParentRef
		return []string{parentKey(ref.Kind, ref.Name)}
	}
	if err := indexer.IndexField(ctx, &v1alpha1.CdPipeline{}, parentIndex, byParent); err != nil {
		return fmt.Errorf("index CdPipelines by parent: %w", err)
	}
	byPipeline := func(object client.Object) []string {
		return []string{object.(*v1alpha1.CiBuild).Spec.PipelineRef.Name}
	}
	if err := indexer.IndexField(ctx, &v1alpha1.CiBuild{}, pipelineIndex, byPipeline); err != nil {
		return fmt.Errorf("index CiBuilds by pipeline: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.CdPipeline{}, templateIndex, templatesOf); err != nil {
		return fmt.Errorf("index CdPipelines by template: %w", err)
	}
	return nil
}

// templatesOf are the templates that the stages of a pipeline run.
func templatesOf(object client.Object) []string {
	pipeline := object.(*v1alpha1.CdPipeline)
	var templates []string
	for _, stage := range trigger.Stages(pipeline, "") {
		kind, key := argo.TemplateKey(pipeline.Namespace, trigger.StageSpec(pipeline, stage).Workflow.TemplateRef)
		templates = append(templates, kind+"/"+key.Name)
	}
	return templates
}

// Users returns the names of the CdPipelines that run the template in a stage.
func Users(ctx context.Context, cache client.Reader, kind string, template types.NamespacedName) ([]types.NamespacedName, error) {
	var list v1alpha1.CdPipelineList
	err := cache.List(ctx, &list, client.InNamespace(template.Namespace),
		client.MatchingFields{templateIndex: kind + "/" + template.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list pipelines of a %s: %w", kind, err)
	}
	names := make([]types.NamespacedName, len(list.Items))
	for i := range list.Items {
		names[i] = client.ObjectKeyFromObject(&list.Items[i])
	}
	return names, nil
}

func parentKey(kind v1alpha1.ParentKind, name string) string { return string(kind) + "/" + name }

// Children returns the CdPipelines of the namespace whose parentRef is (kind,
// name), as the cache has them. They are shared with the cache: do not change them.
func Children(ctx context.Context, cache client.Reader, namespace string, kind v1alpha1.ParentKind, name string) ([]v1alpha1.CdPipeline, error) {
	var list v1alpha1.CdPipelineList
	err := cache.List(ctx, &list, client.InNamespace(namespace),
		client.MatchingFields{parentIndex: parentKey(kind, name)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list children of %s: %w", kind, err)
	}
	return list.Items, nil
}

// Builds returns the names of the CiBuilds of a CiPipeline that keep says yes to.
func Builds(ctx context.Context, cache client.Reader, pipeline types.NamespacedName, keep func(*v1alpha1.CiBuild) bool) ([]types.NamespacedName, error) {
	var list v1alpha1.CiBuildList
	err := cache.List(ctx, &list, client.InNamespace(pipeline.Namespace),
		client.MatchingFields{pipelineIndex: pipeline.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list builds of CiPipeline: %w", err)
	}
	var names []types.NamespacedName
	for i := range list.Items {
		if build := &list.Items[i]; keep(build) {
			names = append(names, types.NamespacedName{Namespace: build.Namespace, Name: build.Name})
		}
	}
	return names, nil
}

// OpenBuilds returns the CiBuilds of a CiPipeline and ref that have not ended and are not being
// deleted. They are shared with the cache: do not change them.
func OpenBuilds(ctx context.Context, cache client.Reader, pipeline types.NamespacedName, ref string) ([]*v1alpha1.CiBuild, error) {
	var list v1alpha1.CiBuildList
	err := cache.List(ctx, &list, client.InNamespace(pipeline.Namespace),
		client.MatchingFields{pipelineIndex: pipeline.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list builds of CiPipeline: %w", err)
	}
	var open []*v1alpha1.CiBuild
	for i := range list.Items {
		build := &list.Items[i]
		if build.Spec.Ref == ref && !build.Status.Phase.IsTerminal() && build.DeletionTimestamp.IsZero() {
			open = append(open, build)
		}
	}
	return open, nil
}

// NewestBuild returns the CiBuild of a CiPipeline that was created last, or nil. It is shared
// with the cache: do not change it.
func NewestBuild(ctx context.Context, cache client.Reader, pipeline types.NamespacedName) (*v1alpha1.CiBuild, error) {
	var list v1alpha1.CiBuildList
	err := cache.List(ctx, &list, client.InNamespace(pipeline.Namespace),
		client.MatchingFields{pipelineIndex: pipeline.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list builds of CiPipeline: %w", err)
	}
	var newest *v1alpha1.CiBuild
	for i := range list.Items {
		build := &list.Items[i]
		if newest == nil || newest.CreationTimestamp.Before(&build.CreationTimestamp) ||
			(newest.CreationTimestamp.Equal(&build.CreationTimestamp) && newest.Name < build.Name) {
			newest = build
		}
	}
	return newest, nil
}

// Family walks pipelines of one namespace in the cache. It is trigger.Parents and
// trigger.Children; an error of the cache, which can only be that it has not
// started, is kept in Err.
type Family struct {
	Cache     client.Reader
	Namespace string
	Err       error

	ctx context.Context //nolint:containedctx // lives for one decision; the interfaces it serves do no I/O and take no context
}

// NewFamily returns the pipelines of a namespace for one decision.
func NewFamily(ctx context.Context, cache client.Reader, namespace string) *Family {
	return &Family{Cache: cache, Namespace: namespace, ctx: ctx}
}

// Of returns the pipelines below (kind, name).
func (f *Family) Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	children, err := Children(f.ctx, f.Cache, f.Namespace, kind, name)
	if err != nil {
		f.Err = err
	}
	return children
}

// CdPipeline returns the pipeline of that name, or nil.
func (f *Family) CdPipeline(name string) *v1alpha1.CdPipeline {
	pipeline := &v1alpha1.CdPipeline{}
	if !f.get(name, pipeline) {
		return nil
	}
	return pipeline
}

// HasCiPipeline tells whether there is a CiPipeline of that name.
func (f *Family) HasCiPipeline(name string) bool { return f.get(name, &v1alpha1.CiPipeline{}) }

func (f *Family) get(name string, into client.Object) bool {
	err := f.Cache.Get(f.ctx, types.NamespacedName{Namespace: f.Namespace, Name: name}, into)
	if client.IgnoreNotFound(err) != nil {
		f.Err = err
	}
	return err == nil
}
