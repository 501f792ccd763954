package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// helm is a template that gives its Workflows a label that ours have as well.
func helm() *wfv1.WorkflowTemplate {
	template := given.WorkflowTemplate("helm", 2*time.Second)
	template.Spec.WorkflowMetadata = &wfv1.WorkflowMetadata{Labels: map[string]string{v1alpha1.LabelManagedBy: "Helm"}}
	return template
}

func TestARunFollowsAWorkflowThatItsTemplateRelabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(helm(), given.CiPipeline(given.CI), given.CdPipeline("web", given.WithPre, given.Runs("helm"), func(p *v1alpha1.CdPipeline) {
		p.Spec.PreDeploy.Workflow.TemplateRef.Name = "helm"
	}), given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	runsAre(t, w, "below", "app-1 Succeeded")
	runsAre(t, w, "web", "app-1 Succeeded")
	w.Judge()
}

func TestARunFollowsAWorkflowThatSomebodyRelabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.WorkflowTemplate("slow", 5*time.Second), given.CiPipeline(given.CI), given.CdPipeline("web", given.Runs("slow")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running")
	labels := `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"x","penstock.dev/identity":null,"penstock.dev/task":null}}}`
	require.NoError(t, w.Cluster.Patch(t.Context(), workflowOf(t, w, "web", "app-1", "deploy"), client.RawPatch(types.MergePatchType, []byte(labels))))
	runsAre(t, w, "web", "app-1 Succeeded")
	w.Judge()
}

func TestARunFollowsAWorkflowWithoutItsOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	web := given.CdPipeline("web", given.Runs("slow"))
	w.Create(given.WorkflowTemplate("slow", 5*time.Second), given.CiPipeline(given.CI), web)
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running")
	workflow := workflowOf(t, w, "web", "app-1", "deploy")
	web.SetNamespace(w.Namespace)
	require.NoError(t, w.Cluster.Delete(t.Context(), web, client.PropagationPolicy(metav1.DeletePropagationOrphan)))
	stagesAre(w, "web", "app-1", "DEPLOY Succeeded")
	w.Eventually("the Workflow is released", func(ctx context.Context) bool {
		err := w.Cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)
		return err == nil && !slices.Contains(workflow.Finalizers, v1alpha1.FinalizerRecorded)
	})
	require.Empty(t, workflow.OwnerReferences)
	w.Judge()
}

func TestWhatNobodySetIsNotPassed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", func(p *v1alpha1.CdPipeline) {
		p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "region"}, {Name: "empty", Value: new("")}}
	}), given.CiBuild("app-1", func(b *v1alpha1.CiBuild) { b.Spec.Revision = "" }))
	w.Start()
	w.Succeed("app-1")
	runsAre(t, w, "web", "app-1 Succeeded")
	var names []string
	for _, parameter := range w.Workflows()[0].Spec.Arguments.Parameters {
		names = append(names, parameter.Name)
	}
	slices.Sort(names)
	require.Equal(t, []string{"application", "build", "digest", "empty", "image", "stage"}, names)
	w.Judge()
}

// Argo's controller of the tests has no instanceID, and so takes up no Workflow that is
// labelled with one.
func TestAWorkflowThatNoArgoControllerTakesUpIsToldOf(t *testing.T) {
	t.Parallel()
	// Narrow: the labels would be on the Workflows of all namespaces.
	w := newNarrowWorld(t, "WORKFLOW_LABELS=workflows.argoproj.io/controller-instanceid=nobody,team=blue", "PICKUP_TIMEOUT=2s")
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", given.Runs("pod"), func(p *v1alpha1.CdPipeline) {
		p.Spec.Deploy.Labels = map[string]v1alpha1.LabelValue{"team": "red"}
	}))
	controller := w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Submitted/NotTakenUp")
	w.KubectlTells("describe cdpipeline web", "NotTakenUp", "was not taken up by any Argo controller within 2s", "Warning")
	w.KubectlTells("describe cibuild app-1", "NotTakenUp", "1 run waits for an Argo controller to take the Workflow up (web)", "Warning")
	require.InDelta(t, 1, controller.Metric(t.Context(), "penstock_workflows_not_taken_up"), 0)
	workflow := workflowOf(t, w, "web", "app-1", "deploy")
	require.Equal(t, "red", workflow.Labels["team"], "the stage's own goes first")
	labels := `{"metadata":{"labels":{"workflows.argoproj.io/controller-instanceid":null}}}`
	require.NoError(t, w.Cluster.Patch(t.Context(), workflow, client.RawPatch(types.MergePatchType, []byte(labels))))
	runsAre(t, w, "web", "app-1 Succeeded")
	metricIs(w, controller, "penstock_workflows_not_taken_up", 0)
	w.Judge()
}
