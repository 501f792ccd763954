package argo

import (
	"context"
	"errors"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// withTTL is a template that sets when its Workflows are deleted.
func withTTL(strategy wfv1.TTLStrategy) *wfv1.WorkflowTemplate {
	template := template()
	template.Spec.TTLStrategy = &strategy
	return template
}

// living has the world's Workflows deleted after a time.
func (w *world) living(after time.Duration) *world {
	w.Builders = Builders{store.KindCd: Stages{TTL: NewTTL(after, w.Live)}}
	return w
}

func ofCluster(pipeline *v1alpha1.CdPipeline) {
	pipeline.Spec.Deploy.Workflow.TemplateRef.ClusterScope = true
}

func TestAWorkflowIsDeletedAfterATimeWhereItsTemplateSetsNone(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		after    time.Duration
		template client.Object
		pipeline *v1alpha1.CdPipeline
		want     *wfv1.TTLStrategy
	}{
		"the template sets none":                   {time.Hour, template(), given.CdPipeline("web"), &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](3600)}},
		"the template of the cluster sets none":    {time.Hour, clusterTemplate(), given.CdPipeline("web", ofCluster), &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](3600)}},
		"the template sets another":                {time.Hour, withTTL(wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](7)}), given.CdPipeline("web"), nil},
		"the template sets one for failures alone": {time.Hour, withTTL(wfv1.TTLStrategy{SecondsAfterFailure: ptr.To[int32](7)}), given.CdPipeline("web"), nil},
		"it is off": {0, template(), given.CdPipeline("web"), nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.pipeline, tc.template).living(tc.after)
			require.NoError(t, w.submit(t, claimOf(tc.pipeline)))
			require.Equal(t, tc.want, w.workflows(t)[0].Spec.TTLStrategy)
		})
	}
}

func TestATemplateIsReadOnceForEachOfItsVersions(t *testing.T) {
	t.Parallel()
	pipeline, reads := given.CdPipeline("web"), 0
	w := newWorld(t, pipeline, template()).failing(interceptor.Funcs{
		Get: func(ctx context.Context, server client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if _, whole := object.(*unstructured.Unstructured); whole {
				reads++
			}
			return server.Get(ctx, key, object, opts...)
		},
	})
	w.Cache = w.server
	w.living(time.Hour)
	again := func() {
		require.NoError(t, w.server.DeleteAllOf(t.Context(), &wfv1.Workflow{}, client.InNamespace(given.Namespace)))
		for i := range w.workflows(t) { // those that a finalizer keeps
			workflow := w.workflows(t)[i]
			workflow.Finalizers = nil
			require.NoError(t, w.server.Update(t.Context(), &workflow))
		}
		require.NoError(t, w.submit(t, claimOf(pipeline)))
	}
	for range 3 {
		again()
	}
	require.Equal(t, 1, reads)
	changed := template()
	require.NoError(t, w.server.Get(t.Context(), client.ObjectKeyFromObject(changed), changed))
	changed.Spec.TTLStrategy = &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](7)}
	require.NoError(t, w.server.Update(t.Context(), changed))
	again()
	require.Equal(t, 2, reads)
	require.Nil(t, w.workflows(t)[0].Spec.TTLStrategy)
}

func TestATemplateThatIsGoneOrCannotBeReadMakesNoWorkflow(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template()).living(time.Hour)
	require.NoError(t, w.server.Delete(t.Context(), template()))
	requireRefusal(t, w.submit(t, claimOf(pipeline)), store.StatusHeld, v1alpha1.ReasonTemplate, "WorkflowTemplate deploy does not exist")

	down := errors.New("connection refused")
	w = newWorld(t, pipeline, template()).failing(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return down
		},
	}).living(time.Hour)
	require.ErrorIs(t, w.submit(t, claimOf(pipeline)), down)
	require.Empty(t, w.workflows(t))
}
