package e2e

import (
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAnOlderBuildThatFinishesLateIsSuperseded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	build(w, "app-2")
	w.Finish("app-2", v1alpha1.BuildSucceeded, version(2))
	runsAre(t, w, "below", "app-2 Succeeded")
	w.Finish("app-1", v1alpha1.BuildSucceeded, version(1))
	w.KubectlTells("describe cibuild app-1", "Skipped/Superseded (web)", "Skipped/ParentNotTriggered (below)")
	w.KubectlTells("describe cdpipeline web", "Superseded", "went first in this pipeline", "create a RunRequest with action Trigger and allowOlder")
	runsAre(t, w, "web", "app-2 Succeeded")

	trigger := func(name string, with ...func(*v1alpha1.RunRequest)) *v1alpha1.RunRequest {
		return given.RunRequest(name, v1alpha1.ActionTrigger, append(with, given.OfPipeline("web"), given.OfBuild("app-1"))...)
	}
	require.Contains(t, refused(t, w, trigger("older")), "set spec.allowOlder")
	done(t, w, trigger("older-all-the-same", given.AllowOlder))
	runsAre(t, w, "web", "app-2 Succeeded", "app-1 Succeeded")
	w.KubectlTells("get cdpipeline web", version(1).Image)
	w.Judge()
}

func TestReplaceStopsWhatRunsAndStartsTheNewerWhenThatHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(forEver(), given.CiPipeline(given.CI),
		given.CdPipeline("web", given.WithPost, given.Runs("for-ever"), given.Concurrency(v1alpha1.ConcurrencyReplace)),
		given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running", "POST Held/StageBefore")
	change(t, w, "web", `{"deploy":{"workflow":{"templateRef":{"name":"deploy"}}}}`)
	build(w, "app-2")
	w.Succeed("app-2")
	stagesAre(w, "web", "app-1", "DEPLOY Superseded/Replaced", "POST Cancelled/StageBeforeFailed")
	runsAre(t, w, "web", "app-1 Superseded", "app-2 Succeeded")
	runsAre(t, w, "below", "app-2 Succeeded")
	require.Equal(t, wfv1.WorkflowFailed, workflowOf(t, w, "web", "app-1", "deploy").Status.Phase)
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM task old, task new WHERE old.reason = 'Replaced'
		AND new.owner_name = 'web' AND new.inputs->>'build' = 'app-2' AND new.inputs->>'stage' = 'DEPLOY' AND new.submitted_at > old.finished_at`))
	w.KubectlTells("describe cibuild app-1", "web DEPLOY ended as Superseded")
	w.Judge()
}

func TestAStageIsTriedAgainAfterItsWorkflowFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI),
		given.CdPipeline("fails", given.WithPost, given.Runs("failing-pod"), given.WithRetries(2, 100*time.Millisecond)),
		given.CdPipeline("mended", given.WithPost, given.Runs("failing-pod"), given.WithRetries(3, 5*time.Second)),
		given.CdPipeline("below", given.BelowCd("mended")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	runsAre(t, w, "fails", "app-1 Failed")
	require.Equal(t, 3, w.Count(`SELECT count(*) FROM task WHERE owner_name = 'fails' AND status = 'Failed' AND submitted_at IS NOT NULL`))
	stagesAre(w, "fails", "app-1", "DEPLOY Failed/WorkflowFailed", "POST Cancelled/StageBeforeFailed")

	change(t, w, "mended", `{"deploy":{"workflow":{"templateRef":{"name":"pod"}}}}`)
	runsAre(t, w, "mended", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")
	stagesAre(w, "mended", "app-1", "DEPLOY Succeeded", "POST Succeeded")
	require.GreaterOrEqual(t, w.Count(`SELECT r.attempt FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE t.owner_name = 'mended' AND r.stage = 'DEPLOY'`), 2)
	w.Judge()
}

func TestAStageThatTakesTooLongIsStoppedAndHasTimedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(forEver(), given.CiPipeline(given.CI),
		given.CdPipeline("slow", given.WithPost, given.Runs("for-ever"), given.WithTimeout(3*time.Second)),
		given.CdPipeline("quick", given.WithTimeout(time.Minute)),
		given.CdPipeline("fails", given.Runs("failing-pod"), given.WithTimeout(time.Minute)),
		given.CdPipeline("below", given.BelowCd("slow")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	runsAre(t, w, "slow", "app-1 Failed")
	stagesAre(w, "slow", "app-1", "DEPLOY Failed/TimedOut", "POST Cancelled/StageBeforeFailed")
	stagesAre(w, "fails", "app-1", "DEPLOY Failed/WorkflowFailed")
	runsAre(t, w, "quick", "app-1 Succeeded")
	w.DecidedIs("below", "Blocked/ParentNotSucceeded")
	w.KubectlTells("describe cdpipeline slow", "TimedOut")
	w.Judge()
}
