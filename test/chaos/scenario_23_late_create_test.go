package chaos

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
)

// A slow webhook lets the create through long after Penstock has given it up and the run
// was cancelled. Only a Workflow that is older than a minute is taken for an orphan.
func TestAWorkflowThatIsMadeAfterItsTaskWasCancelledIsStopped(t *testing.T) {
	long(t)
	t.Parallel()
	w := newWorld(t)
	w.Create(given.WorkflowTemplate("slow", time.Hour), given.CiPipeline(given.CI), given.CiBuild("b1"), given.CdPipeline("web", given.Runs("slow")))
	gate := &fault.Gate{}
	gate.Shut()
	cluster := heldCreates(t, gate, anything, true)
	controller := w.StartWith(env.ControllerOptions{Cluster: cluster.Through(local.ConfigFor(env.Penstock))})
	w.Succeed("b1")
	w.Eventually("its create is under way", func(context.Context) bool { return creates(cluster, anything) > 0 })
	run := int64(w.Count("SELECT id FROM cd_workflow"))
	w.Create(given.RunRequest("cancel", v1alpha1.ActionCancel, given.OfPipeline("web"), given.OfRun(run)))
	w.RowsAre(1, "Cancelled")
	require.Empty(t, w.Workflows())

	gate.Open()
	w.MadeAre(1)
	late := w.Workflows()[0]
	copied := resubmitted(&late)
	w.Create(copied)
	w.Eventually("the late one was stopped, and is let go", func(ctx context.Context) bool {
		err := w.Cluster.Get(ctx, client.ObjectKeyFromObject(&late), &late)
		return err == nil && late.Status.Phase == wfv1.WorkflowFailed && !slices.Contains(late.Finalizers, v1alpha1.FinalizerRecorded)
	})
	require.InDelta(t, 1, controller.Metric(t.Context(), "penstock_orphans_stopped_total"), 0)
	w.KubectlTells("get events", "Penstock stops this Workflow: its task had ended as Cancelled before it was created")
	require.NoError(t, w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(copied), copied))
	require.Empty(t, copied.Spec.Shutdown, "the copy is somebody's own")
	require.Equal(t, wfv1.WorkflowRunning, copied.Status.Phase)
	require.Equal(t, 1, w.Rows("Cancelled"))
	w.Judge()
}

// A person's copy of a Workflow that was retried, which has all our labels, changes nothing
// for the run either.
func TestAResubmittedCopyIsNobodysTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.WorkflowTemplate("quick", 2*time.Second), given.CiPipeline(given.CI), given.CiBuild("b1"), given.CdPipeline("web", given.Runs("quick")))
	w.Start()
	w.Succeed("b1")
	w.RowsAre(1, "Running")
	original := w.Workflows()[0]
	w.StopInArgo(original.Name, wfv1.ShutdownStrategyStop)
	w.RowsAre(1, "Failed")
	require.NoError(t, w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(&original), &original))
	copied := resubmitted(&original)
	w.Create(copied)
	w.Eventually("the copy has succeeded", func(ctx context.Context) bool {
		err := w.Cluster.Get(ctx, client.ObjectKeyFromObject(copied), copied)
		return err == nil && copied.Status.Phase == wfv1.WorkflowSucceeded
	})
	rest(w)
	require.Equal(t, 1, w.Rows("Failed"))
	require.Equal(t, 1, w.Count("SELECT count(*) FROM task"))
	w.Judge()
}

// resubmitted is a copy as `argo resubmit` makes it (argo-workflows, workflow/util:
// FormulateResubmitWorkflow): another name, and the labels but for Argo's state.
func resubmitted(workflow *wfv1.Workflow) *wfv1.Workflow {
	labels := maps.Clone(workflow.Labels)
	for _, state := range []string{"phase", "completed", "workflow-archiving-status"} {
		delete(labels, "workflows.argoproj.io/"+state)
	}
	labels["workflows.argoproj.io/resubmitted-from-workflow"] = workflow.Name
	copied := &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: workflow.Namespace, Name: workflow.Name[:len(workflow.Name)-5] + "again",
			Labels: labels, Annotations: workflow.Annotations, OwnerReferences: workflow.OwnerReferences,
		},
		Spec: *workflow.Spec.DeepCopy(),
	}
	copied.Spec.Shutdown = ""
	return copied
}
