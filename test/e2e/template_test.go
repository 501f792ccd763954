package e2e

import (
	"context"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// clusterScoped has POST run a template of the cluster.
func clusterScoped(name string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		given.WithPost(pipeline)
		pipeline.Spec.PostDeploy.Workflow.TemplateRef = v1alpha1.TemplateReference{Name: name, ClusterScope: true}
	}
}

// As `kubectl replace --force` and `kubectl apply -f folder/` do it: for a moment, or at first,
// the template is not there.
func TestAStageWaitsForItsTemplateAndGoesOnWhenThatAppears(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := "late-" + w.Namespace
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("other", given.Runs("early"), clusterScoped(late)),
		given.WorkflowTemplate("early", time.Second), given.CdPipeline("below", given.BelowCd("web"), given.Runs("early")))
	w.Start()
	build(w, "app-1")
	w.KubectlTells("describe cdpipeline other", "TemplateNotFound", "stage POST: ClusterWorkflowTemplate "+late+" does not exist")
	w.KubectlTells("get cdpipeline web", "Ready")

	replaced := given.WorkflowTemplate(given.Template, time.Second)
	w.Delete(replaced)
	w.KubectlTells("get cdpipeline web", "TemplateNotFound")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Held/Template")
	w.KubectlTells("describe cdpipeline web", "WorkflowTemplate deploy does not exist: create it, or correct workflow.templateRef, and the stage goes on")
	w.KubectlTells("describe cibuild app-1", "its template to exist (", "web)")
	w.Create(given.WorkflowTemplate(given.Template, time.Second))
	runsAre(t, w, "web", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")
	w.KubectlTells("get cdpipeline web", "Ready")

	stagesAre(w, "other", "app-1", "DEPLOY Succeeded", "POST Held/Template")
	template := given.WorkflowTemplate(late, time.Second)
	cluster := &wfv1.ClusterWorkflowTemplate{ObjectMeta: metav1.ObjectMeta{Name: late}, Spec: template.Spec}
	require.NoError(t, w.Everywhere.Create(t.Context(), cluster))
	t.Cleanup(func() { require.NoError(t, w.Everywhere.Delete(context.Background(), cluster)) })
	runsAre(t, w, "other", "app-1 Succeeded")
	w.Judge()
}
