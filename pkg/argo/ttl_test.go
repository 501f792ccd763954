package argo

import (
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	w.Builders = Builders{store.KindCd: Stages{TTL: after}}
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
