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
