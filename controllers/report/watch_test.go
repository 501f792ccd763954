package report

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAReplicaThatStandsByGathersNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	informers := &informertest.FakeInformers{Scheme: d.server.Scheme()}
	require.NoError(t, d.Watch(t.Context(), withTemplates{informers, controllertest.NewFakeInformer(controllertest.Synced)}))
	builds, err := informers.FakeInformerFor(t.Context(), &v1alpha1.CiBuild{})
	require.NoError(t, err)
	builds.Add(given.CiBuild("b1"))
	require.Empty(t, d.builds.take(1))

	stop, err := d.listen(t.Context())
	require.NoError(t, err)
	defer stop()
	builds.Add(given.CiBuild("b2"))
	require.Equal(t, []types.NamespacedName{named("b2")}, d.builds.take(2))
}

// withTemplates has informers of templates too.
type withTemplates struct {
	*informertest.FakeInformers
	templates *controllertest.FakeInformer
}

func (w withTemplates) GetInformer(ctx context.Context, object client.Object, options ...cache.InformerGetOption) (cache.Informer, error) {
	if _, isTemplate := object.(*unstructured.Unstructured); isTemplate {
		return w.templates, nil
	}
	return w.FakeInformers.GetInformer(ctx, object, options...)
}

func TestOnlyThePipelinesOfATemplateThatComesOrGoesAreLookedAt(t *testing.T) {
	t.Parallel()
	cluster := func(p *v1alpha1.CdPipeline) {
		given.WithPost(p)
		p.Spec.PostDeploy.Workflow.TemplateRef = v1alpha1.TemplateReference{Name: "cluster", ClusterScope: true}
	}
	d := newDesk(t, given.CdPipeline("web"), given.CdPipeline("other", given.Runs("other"), cluster))
	template := func(kind, namespace, name string, parameters ...any) *unstructured.Unstructured {
		template := argo.Template(kind)
		template.SetNamespace(namespace)
		template.SetName(name)
		template.Object["spec"] = map[string]any{"arguments": map[string]any{"parameters": parameters}}
		return template
	}
	for sentence, tc := range map[string]struct {
		kind string
		tell func(toolscache.ResourceEventHandler)
		want []types.NamespacedName
	}{
		"one that comes": {argo.KindTemplate, func(handle toolscache.ResourceEventHandler) {
			handle.OnAdd(template(argo.KindTemplate, given.Namespace, given.Template), false)
		}, []types.NamespacedName{named("web")}},
		"one that goes": {argo.KindTemplate, func(handle toolscache.ResourceEventHandler) {
			handle.OnDelete(template(argo.KindTemplate, given.Namespace, "other"))
		}, []types.NamespacedName{named("other")}},
		"one of the cluster": {argo.KindClusterTemplate, func(handle toolscache.ResourceEventHandler) {
			handle.OnAdd(template(argo.KindClusterTemplate, "", "cluster"), false)
		}, []types.NamespacedName{named("other")}},
		"one that changes": {argo.KindTemplate, func(handle toolscache.ResourceEventHandler) {
			handle.OnUpdate(template(argo.KindTemplate, given.Namespace, given.Template), template(argo.KindTemplate, given.Namespace, given.Template))
		}, nil},
		"one that declares another parameter": {argo.KindTemplate, func(handle toolscache.ResourceEventHandler) {
			handle.OnUpdate(template(argo.KindTemplate, given.Namespace, given.Template),
				template(argo.KindTemplate, given.Namespace, given.Template, map[string]any{"name": "region"}))
		}, []types.NamespacedName{named("web")}},
		"one of another namespace": {argo.KindTemplate, func(handle toolscache.ResourceEventHandler) {
			handle.OnAdd(template(argo.KindTemplate, "elsewhere", given.Template), false)
		}, nil},
		"one that there was at the start": {argo.KindTemplate, func(handle toolscache.ResourceEventHandler) {
			handle.OnAdd(template(argo.KindTemplate, given.Namespace, given.Template), true)
		}, nil},
	} {
		tc.tell(handler(t.Context(), nothing, d.templateChanged(tc.kind)))
		require.ElementsMatch(t, tc.want, d.pipelines.take(9), sentence)
	}
}

func TestWhatThereIsAtTheStartComesAfterWhatChanges(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	handle := handler(t.Context(), d.buildKnown, d.buildChanged)
	handle.OnAdd(given.CiBuild("old"), true)
	handle.OnAdd(given.CiBuild("new"), false)
	handle.OnUpdate(given.CiBuild("running"), given.CiBuild("running"))
	handle.OnUpdate(given.CiBuild("ended"), given.CiBuild("ended", func(b *v1alpha1.CiBuild) { b.Status.Phase = v1alpha1.BuildSucceeded }))
	require.Equal(t, []types.NamespacedName{named("new"), named("ended"), named("old")}, d.builds.take(9))
}
