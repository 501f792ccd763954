package e2e

import (
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// foreignWorkflow is somebody else's Workflow, under the name that Penstock would
// give the pipeline's own.
func foreignWorkflow(t *testing.T, w *world.World, build *v1alpha1.CiBuild, pipeline string) *wfv1.Workflow {
	t.Helper()
	owner := &v1alpha1.CdPipeline{}
	require.NoError(t, w.Cluster.Get(t.Context(), client.ObjectKey{Name: pipeline}, owner))
	name := trigger.WorkflowName(pipeline, trigger.Identity{
		BuildUID: string(build.UID), Image: given.Artifact(0).Image, Digest: given.Artifact(0).Digest,
		PipelineUID: string(owner.UID), Run: 1, Stage: trigger.StageDeploy,
	})
	return &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       wfv1.WorkflowSpec{WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: given.Template}},
	}
}
