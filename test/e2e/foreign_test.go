package e2e

import (
	"context"
	"net/http"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// foreignWorkflow is somebody else's Workflow, under the name that Penstock would
// give the pipeline's own.
func foreignWorkflow(w *world, build *v1alpha1.CiBuild, pipeline string) *wfv1.Workflow {
	w.t.Helper()
	owner := &v1alpha1.CdPipeline{}
	require.NoError(w.t, w.cluster.Get(w.t.Context(), client.ObjectKey{Name: pipeline}, owner))
	name := trigger.WorkflowName(pipeline, trigger.Identity{
		BuildUID: string(build.UID), Image: "app:1", Digest: digest,
		PipelineUID: string(owner.UID), Run: 1, Stage: trigger.StageDeploy,
	})
	return &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       wfv1.WorkflowSpec{WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: "deploy"}},
	}
}

// probe returns what a probe of the controller answers, 0 for nothing.
func (w *world) probe(path string) int {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, w.controller.HealthURL+path, nil)
	require.NoError(w.t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}
