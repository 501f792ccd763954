package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// ask creates a request, and returns what became of it.
func ask(t *testing.T, w *world.World, request *v1alpha1.RunRequest) v1alpha1.RunRequestStatus {
	t.Helper()
	w.Create(request)
	var status v1alpha1.RunRequestStatus
	w.Eventually("an answer to "+request.Name, func(ctx context.Context) bool {
		answered := &v1alpha1.RunRequest{}
		if err := w.Cluster.Get(ctx, client.ObjectKey{Name: request.Name}, answered); err != nil {
			return false
		}
		status = answered.Status
		return status.Phase != ""
	})
	return status
}

// done asks for something that is done.
func done(t *testing.T, w *world.World, request *v1alpha1.RunRequest) int64 {
	t.Helper()
	status := ask(t, w, request)
	require.Equal(t, v1alpha1.RequestDone, status.Phase, status.Message)
	return status.Run
}

// refused asks for something that is refused, and returns why.
func refused(t *testing.T, w *world.World, request *v1alpha1.RunRequest) string {
	t.Helper()
	status := ask(t, w, request)
	require.Equal(t, v1alpha1.RequestRefused, status.Phase, status.Message)
	return status.Message
}

// change patches a pipeline's spec, as kubectl does.
func change(t *testing.T, w *world.World, pipeline, spec string) {
	t.Helper()
	object := &v1alpha1.CdPipeline{}
	object.Name = pipeline
	require.NoError(t, w.Cluster.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"spec":`+spec+`}`))))
}

// stagesAre waits until the stages of the newest run of a build are so, such as DEPLOY Held/Person.
func stagesAre(w *world.World, pipeline, build string, want ...string) {
	var last string
	w.Eventually(fmt.Sprintf("%s %s: %v", pipeline, build, want), func(ctx context.Context) bool {
		err := w.Database.QueryRow(ctx, `
			SELECT COALESCE(string_agg(r.stage || ' ' || t.status || COALESCE('/' || NULLIF(t.reason, ''), ''), ', ' ORDER BY r.id), '')
			FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
			WHERE r.cd_workflow_id = (SELECT max(w.id) FROM cd_workflow w JOIN ci_build b ON b.build_uid = w.build_uid
				WHERE w.pipeline = $1 AND b.build_name = $2)`, pipeline, build).Scan(&last)
		return err == nil && last == strings.Join(want, ", ")
	})
}

// runsAre waits until the runs of a pipeline are so, the oldest first, such as b1 Succeeded.
func runsAre(t *testing.T, w *world.World, pipeline string, want ...string) {
	t.Helper()
	w.Eventually(fmt.Sprintf("runs of %s: %v", pipeline, want), func(ctx context.Context) bool {
		var runs string
		err := w.Database.QueryRow(ctx, `
			SELECT COALESCE(string_agg(b.build_name || ' ' || COALESCE(w.outcome, 'goes on'), ', ' ORDER BY w.id), '')
			FROM cd_workflow w JOIN ci_build b ON b.build_uid = w.build_uid WHERE w.pipeline = $1`, pipeline).Scan(&runs)
		return err == nil && runs == strings.Join(want, ", ")
	})
}

// build creates a build that is younger than those before by what the API server tells of
// an object's age.
func build(w *world.World, name string) {
	w.Create(given.CiBuild(name))
	at := time.Now().Add(1100 * time.Millisecond)
	w.Eventually("the next second", func(context.Context) bool { return time.Now().After(at) })
}

// version is the n-th image of the one repository.
func version(n int) v1alpha1.Artifact {
	return v1alpha1.Artifact{Image: fmt.Sprintf("registry.example.com/shop:1.%d", n), Digest: given.Artifact(n).Digest}
}

// workflowOf returns the Workflow of a stage of a build.
func workflowOf(t *testing.T, w *world.World, pipeline, build, stage string) *wfv1.Workflow {
	t.Helper()
	for _, workflow := range w.Workflows() {
		labels := workflow.Labels
		if labels[v1alpha1.LabelPipeline] == pipeline && labels[v1alpha1.LabelBuild] == build && labels[v1alpha1.LabelStage] == stage {
			return &workflow
		}
	}
	require.Fail(t, "no such Workflow")
	return nil
}

func TestAStageThatWaitsForAPersonIsResumedByARunRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", given.WithPre, given.ManualStage(trigger.StageDeploy)),
		given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "PRE Succeeded", "DEPLOY Held/Person")
	w.KubectlTells("describe cdpipeline web", "Person", "create a RunRequest with action Resume to go on")

	require.Equal(t, "CdPipeline below does not have a run of build app-1",
		refused(t, w, given.RunRequest("too-early", v1alpha1.ActionResume, given.OfPipeline("below"), given.OfBuild("app-1"))))
	run := done(t, w, given.RunRequest("go", v1alpha1.ActionResume, given.OfPipeline("web"), given.OfBuild("app-1"), given.BecauseOf("it is noon")))
	runsAre(t, w, "web", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")
	w.KubectlTells("get rr", "NAME", "ACTION", "PIPELINE", "BUILD", "PHASE", "RUN", "go", "Resume", "web", "app-1", "Done", fmt.Sprint(run), "too-early", "Refused")
	w.KubectlTells("get rr go -o wide", "MESSAGE", fmt.Sprintf("stage DEPLOY of run %d was resumed", run))
	w.KubectlTells("describe rr too-early", "Warning", "Refused", "CdPipeline below does not have a run of build app-1")
	w.KubectlTells("describe rr go", "Normal", "Done", "was resumed")
	w.Judge()
}

func TestARunRequestThatIsAppliedAgainIsNotCarriedOutAgain(t *testing.T) {
	t.Parallel()
	// Narrow: its controller is killed, and others need theirs.
	w := newNarrowWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", given.Manual))
	controller := w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	w.DecidedIs("web", "Skipped/ManualTrigger")
	deploy := func() *v1alpha1.RunRequest {
		return given.RunRequest("deploy", v1alpha1.ActionTrigger, given.OfPipeline("web"), given.OfBuild("app-1"))
	}
	first := ask(t, w, deploy())
	require.Equal(t, v1alpha1.RequestDone, first.Phase, first.Message)
	runsAre(t, w, "web", "app-1 Succeeded")
	w.Delete(deploy())
	require.Equal(t, first, ask(t, w, deploy()))
	w.Delete(deploy())
	require.NoError(t, controller.Kill())
	w.Start()
	require.Equal(t, first, ask(t, w, deploy()))
	w.Delete(deploy())
	another := deploy()
	another.Spec.Reason = "once more"
	done(t, w, another)
	runsAre(t, w, "web", "app-1 Succeeded", "app-1 Succeeded")
	w.MadeAre(2)
	w.Judge()
}

func TestARunRequestThatComesWithTheBuildWaitsForIt(t *testing.T) {
	t.Parallel()
	// Narrow: something is there before its controller starts, and others need theirs.
	w := newNarrowWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", given.Manual), given.CdPipeline("below", given.Manual, given.BelowCd("web")))
	w.Create(given.CiBuild("app-1"))
	w.Succeed("app-1")
	// All of it is there before anything of ours runs.
	w.Create(given.RunRequest("deploy", v1alpha1.ActionTrigger, given.OfPipeline("below"), given.OfBuild("app-1")),
		given.RunRequest("no-build", v1alpha1.ActionTrigger, given.OfPipeline("web"), given.OfBuild("app-2")))
	w.Start()
	runsAre(t, w, "below", "app-1 Succeeded")
	w.KubectlTells("get rr -o wide", "deploy", "Done", "no-build", "Refused", "CiBuild app-2 does not exist in namespace "+w.Namespace)
	w.Judge()
}

func TestARollbackDeploysWhatWasDeployedBeforeAndNothingBelow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	require.Equal(t, "CdPipeline web has deployed nothing", refused(t, w, given.RunRequest("rollback-0", v1alpha1.ActionRollback, given.OfPipeline("web"))))
	for n := 1; n <= 3; n++ {
		name := fmt.Sprintf("app-%d", n)
		build(w, name)
		w.Finish(name, v1alpha1.BuildSucceeded, version(n))
		w.KubectlTells("get cdpipeline below", version(n).Image)
	}
	done(t, w, given.RunRequest("rollback-1", v1alpha1.ActionRollback, given.OfPipeline("web")))
	w.KubectlTells("get cdpipeline web", version(2).Image)
	done(t, w, given.RunRequest("rollback-2", v1alpha1.ActionRollback, given.OfPipeline("web")))
	w.KubectlTells("get cdpipeline web", version(1).Image)
	require.Equal(t, "CdPipeline web has deployed nothing before build app-1", refused(t, w, given.RunRequest("rollback-3", v1alpha1.ActionRollback, given.OfPipeline("web"))))
	runsAre(t, w, "web", "app-1 Succeeded", "app-2 Succeeded", "app-3 Succeeded", "app-2 Succeeded", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded", "app-2 Succeeded", "app-3 Succeeded")
	w.KubectlTells("get cdpipeline below", version(3).Image)
	w.Judge()
}

func TestARetryBeginsAtTheStageThatFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", given.WithPre, given.WithPost, given.Runs("failing-pod")),
		given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "PRE Succeeded", "DEPLOY Failed/WorkflowFailed", "POST Cancelled/StageBeforeFailed")
	w.DecidedIs("below", "Blocked/ParentNotSucceeded")
	change(t, w, "web", `{"deploy":{"workflow":{"templateRef":{"name":"pod"}}}}`)
	done(t, w, given.RunRequest("again", v1alpha1.ActionRetry, given.OfPipeline("web"), given.OfBuild("app-1")))
	stagesAre(w, "web", "app-1", "DEPLOY Succeeded", "POST Succeeded")
	runsAre(t, w, "web", "app-1 Failed", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")
	w.MadeAre(5)
	w.Judge()
}

func TestACancelledRunsWorkflowIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("web", given.WithPost, given.Runs("for-ever")), given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running", "POST Held/StageBefore")
	run := done(t, w, given.RunRequest("stop", v1alpha1.ActionCancel, given.OfPipeline("web"), given.OfBuild("app-1"), given.BecauseOf("wrong branch")))
	stagesAre(w, "web", "app-1", "DEPLOY Cancelled/Cancelled", "POST Cancelled/StageBeforeFailed")
	runsAre(t, w, "web", "app-1 Cancelled")
	w.DecidedIs("below", "Blocked/ParentNotSucceeded")
	stopped := workflowOf(t, w, "web", "app-1", "deploy")
	require.Equal(t, wfv1.WorkflowFailed, stopped.Status.Phase)
	require.Contains(t, stopped.Status.Message, "Stop")
	w.KubectlTells("describe cdpipeline web", "Cancelled", "cancelled by RunRequest stop: wrong branch")
	require.Equal(t, fmt.Sprintf("there is nothing to cancel: run %d in CdPipeline web has ended", run),
		refused(t, w, given.RunRequest("stop-again", v1alpha1.ActionCancel, given.OfPipeline("web"), given.OfRun(run))))
	w.Judge()
}
