package world

import (
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// StopInArgo stops a Workflow as somebody does who works in Argo (`argo stop`, or `argo
// terminate`).
func (w *World) StopInArgo(name string, strategy wfv1.ShutdownStrategy) {
	w.t.Helper()
	w.change(name, func(workflow *wfv1.Workflow) { workflow.Spec.Shutdown = strategy })
}

// RetryInArgo has a Workflow that has ended run once more, all of it, as `argo retry` does
// (argo-workflows, workflow/util: FormulateRetryWorkflow, for one that has no pods). That
// package is not used itself: it needs much of Argo's server.
func (w *World) RetryInArgo(name string) {
	w.t.Helper()
	w.change(name, func(workflow *wfv1.Workflow) {
		require.True(w.t, workflow.Status.Phase.Completed(), "%s is %s", name, workflow.Status.Phase)
		delete(workflow.Labels, "workflows.argoproj.io/completed")
		delete(workflow.Labels, "workflows.argoproj.io/workflow-archiving-status")
		workflow.Labels["workflows.argoproj.io/phase"] = string(wfv1.WorkflowRunning)
		workflow.Spec.Shutdown = ""
		status := &workflow.Status
		status.Conditions.UpsertCondition(wfv1.Condition{Status: metav1.ConditionFalse, Type: wfv1.ConditionTypeCompleted})
		status.Phase, status.Message, status.Nodes = wfv1.WorkflowRunning, "", wfv1.Nodes{}
		status.StartedAt, status.FinishedAt = metav1.NewTime(time.Now()), metav1.Time{}
		if status.StoredWorkflowSpec != nil {
			status.StoredWorkflowSpec.Shutdown = ""
		}
	})
}

func (w *World) change(name string, with func(*wfv1.Workflow)) {
	w.t.Helper()
	require.NoError(w.t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		workflow := &wfv1.Workflow{}
		if err := w.Cluster.Get(w.t.Context(), client.ObjectKey{Name: name}, workflow); err != nil {
			return err
		}
		with(workflow)
		return w.Cluster.Update(w.t.Context(), workflow)
	}))
}
