package e2e

import (
	"context"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// stop has somebody stop the Workflow of a stage in Argo while it runs.
func stop(t *testing.T, w *world.World, pipeline, build, stage string) *wfv1.Workflow {
	t.Helper()
	workflow := workflowOf(t, w, pipeline, build, stage)
	w.StopInArgo(workflow.Name, wfv1.ShutdownStrategyTerminate)
	return workflow
}

func TestARunFollowsAWorkflowThatIsRetriedInArgo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.WorkflowTemplate("slow", 4*time.Second), given.CiPipeline(given.CI), given.CdPipeline("web", given.WithPost, given.Runs("slow")),
		given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running", "POST Held/StageBefore")
	deploy := stop(t, w, "web", "app-1", "deploy")
	stagesAre(w, "web", "app-1", "DEPLOY Failed/WorkflowFailed", "POST Cancelled/StageBeforeFailed")
	w.DecidedIs("below", "Blocked/ParentNotSucceeded")
	w.KubectlTells("describe cdpipeline web", "Stopped with strategy 'Terminate'")

	w.RetryInArgo(deploy.Name)
	stagesAre(w, "web", "app-1", "DEPLOY Running/WorkflowRetried", "POST Held/StageBefore")
	require.Contains(t, workflowOf(t, w, "web", "app-1", "deploy").Finalizers, v1alpha1.FinalizerRecorded)
	w.KubectlTells("describe cdpipeline web", "was retried in Argo")
	runsAre(t, w, "web", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")
	stagesAre(w, "web", "app-1", "DEPLOY Succeeded", "POST Succeeded")
	w.KubectlTells("get cdpipeline web", given.Artifact(0).Image)

	// One that succeeded is retried, and fails: nothing is taken back, nor done twice.
	w.RetryInArgo(deploy.Name)
	stagesAre(w, "web", "app-1", "DEPLOY Running/WorkflowRetried", "POST Succeeded")
	w.StopInArgo(deploy.Name, wfv1.ShutdownStrategyStop)
	runsAre(t, w, "web", "app-1 Failed")
	w.KubectlTells("get cdpipeline web", given.Artifact(0).Image)
	w.RetryInArgo(deploy.Name)
	runsAre(t, w, "web", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")
	w.MadeAre(3)
	w.Judge()
}

func TestAWorkflowThatIsRetriedAfterANewerBuildWentFirstIsFollowedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.WorkflowTemplate("slow", 4*time.Second), given.CiPipeline(given.CI), given.CdPipeline("web", given.WithPost, given.Runs("slow")),
		given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	build(w, "app-2")
	w.Finish("app-1", v1alpha1.BuildSucceeded, version(1))
	stagesAre(w, "web", "app-1", "DEPLOY Running", "POST Held/StageBefore")
	deploy := stop(t, w, "web", "app-1", "deploy")
	runsAre(t, w, "web", "app-1 Failed")
	w.Finish("app-2", v1alpha1.BuildSucceeded, version(2))
	runsAre(t, w, "below", "app-2 Succeeded")

	w.RetryInArgo(deploy.Name)
	w.KubectlTells("describe cdpipeline web", "was retried in Argo; another build has had its turn in this pipeline since")
	stagesAre(w, "web", "app-1", "DEPLOY Succeeded", "POST Superseded/Superseded")
	runsAre(t, w, "web", "app-1 Superseded", "app-2 Succeeded")
	runsAre(t, w, "below", "app-2 Succeeded")
	w.KubectlTells("get cdpipeline web", version(1).Image) // which is what Argo has deployed last
	w.Judge()
}

// What happens while nobody looks is found at the next start.
func TestAWorkflowThatIsRetriedWhileTheControllerIsDownIsFollowed(t *testing.T) {
	t.Parallel()
	// Narrow: its controller is stopped, and others need theirs.
	w := newNarrowWorld(t)
	w.Create(given.WorkflowTemplate("slow", 4*time.Second), given.CiPipeline(given.CI), given.CdPipeline("web", given.Runs("slow")),
		given.CdPipeline("below", given.BelowCd("web")))
	controller := w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running")
	deploy := stop(t, w, "web", "app-1", "deploy")
	runsAre(t, w, "web", "app-1 Failed")
	require.NoError(t, controller.Stop())
	w.RetryInArgo(deploy.Name)
	w.Eventually("it has succeeded", func(context.Context) bool {
		return workflowOf(t, w, "web", "app-1", "deploy").Status.Phase == wfv1.WorkflowSucceeded
	})
	w.Start()
	runsAre(t, w, "web", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")
	w.Judge()
}
