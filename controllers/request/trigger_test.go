package request

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// triggers asks for a run of the pipeline web for a build.
func triggers(name, build string, with ...func(*v1alpha1.RunRequest)) *v1alpha1.RunRequest {
	return given.RunRequest(name, v1alpha1.ActionTrigger, append(with, given.OfPipeline("web"), given.OfBuild(build))...)
}

func TestTriggerRunsAManualPipelineAndThenWhatHangsBelowIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual), given.CdPipeline("below", given.BelowCd("web")))
	s.built("b1")
	require.Equal(t, []string{"b1 Skipped/ManualTrigger"}, s.decided("web"))
	require.Equal(t, []string{"b1 Skipped/ParentNotTriggered"}, s.decided("below"))

	status := s.done(triggers("r1", "b1", given.By("jane"), given.BecauseOf("the demo is at nine")))
	require.Equal(t, s.run("web"), status.Run)
	require.Equal(t, message("run %d was made of build b1", status.Run), status.Message)
	require.False(t, status.At.IsZero())
	require.Equal(t, []string{"DEPLOY Pending"}, s.stages(status.Run))
	require.Equal(t, []string{"b1 Triggered/Requested"}, s.decided("web"))
	require.Equal(t, []string{"b1 Waiting/ParentRunning"}, s.decided("below"))
	require.Equal(t, 1, s.woken)
	require.Equal(t, []string{"Normal Done run 1 was made of build b1"}, s.told())
	require.Equal(t, []string{"Done Trigger jane run 1 was made of build b1 (the demo is at nine)"},
		s.table(`SELECT state || ' ' || reason || ' ' || actor || ' ' || message FROM event WHERE kind = 'Request' AND build_name = 'b1' AND pipeline = 'web' AND run_id = 1`))
	require.Equal(t, []string{"jane"}, s.table(`SELECT actor FROM cd_workflow`))

	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded"}, s.runs("below"))
	require.Equal(t, []string{"b1 Triggered/Triggered"}, s.decided("below"))
}

func TestTriggerRunsABuildOnceMoreThatHasHadItsRun(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPre))
	s.built("b1")
	s.endAll(store.StatusSucceeded)
	status := s.done(triggers("r1", "b1"))
	require.Equal(t, []string{"b1 #1 Succeeded", "b1 #2 goes on"}, s.runs("web"))
	require.Equal(t, []string{"PRE Pending", "DEPLOY Held/StageBefore"}, s.stages(status.Run))
	require.Equal(t, []string{"RunRequest r1"}, s.table(`SELECT actor FROM cd_workflow WHERE id = $1`, status.Run))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b1 #2 Succeeded"}, s.runs("web"))
	require.Len(t, s.table(`SELECT DISTINCT workflow_name FROM task`), 4)
}

func TestTriggerRunsEveryArtifactThatPassesTheFilter(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual, given.Filter(`artifact.image != "registry.example.com/app-001:1.0"`)))
	s.built("b1", given.Artifacts(3)...)
	status := s.done(triggers("r1", "b1"))
	require.Equal(t, "runs 1, 2 were made of build b1", status.Message)
	require.EqualValues(t, 1, status.Run)
	require.Equal(t, []string{"registry.example.com/app-000:1.0", "registry.example.com/app-002:1.0"}, s.table(`SELECT inputs->>'image' FROM task ORDER BY id`))
}

func TestTriggerGivesAllArtifactsToOneRunWhereThePipelineSaysSo(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual, given.AllArtifacts))
	s.built("b1", given.Artifacts(3)...)
	require.Equal(t, "run 1 was made of build b1", s.done(triggers("r1", "b1")).Message)
	require.Equal(t, given.Artifacts(3), s.claim()[0].Inputs.Artifacts)
}

// The right to trigger is not the right to approve.
func TestAFirstStageThatIsManualWaitsForAPersonAfterTrigger(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual, given.WithPre, given.ManualStage(trigger.StagePre)))
	s.built("b1")
	status := s.done(triggers("r1", "b1"))
	require.Equal(t, []string{"PRE Held/Person", "DEPLOY Held/StageBefore"}, s.stages(status.Run))
	s.done(given.RunRequest("r2", v1alpha1.ActionResume, given.OfPipeline("web"), given.OfRun(status.Run)))
	require.Equal(t, []string{"PRE Pending", "DEPLOY Held/StageBefore"}, s.stages(status.Run))
}

func TestATriggeredRunIsHeldWhereThePipelineIsOnHold(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual, given.Held))
	s.built("b1")
	status := s.done(triggers("r1", "b1"))
	require.Equal(t, []string{"DEPLOY Held/Hold"}, s.stages(status.Run))
	require.Equal(t, message("build b1 is under way in CdPipeline web already: cancel that first, or wait for its end"), s.refused(triggers("r2", "b1")))
}

func TestATriggeredRunWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.change("web", given.Manual)
	s.built("b2")
	status := s.done(triggers("r1", "b2"))
	require.Equal(t, []string{"DEPLOY Held/Turn"}, s.stages(status.Run))
	s.end(store.StatusFailed)
	require.Equal(t, []string{"DEPLOY Pending"}, s.stages(status.Run))
}

func TestAnOlderBuildIsTriggeredOnlyWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.endAll(store.StatusSucceeded)
	s.built("b2")
	s.endAll(store.StatusSucceeded)
	require.Equal(t, "build b1 is older than one that had its turn in CdPipeline web: set spec.allowOlder in a new RunRequest to deploy it all the same",
		s.refused(triggers("r1", "b1")))
	s.done(triggers("r2", "b1", given.AllowOlder))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b2 #1 Succeeded", "b1 #2 Succeeded"}, s.runs("web"))
	require.Equal(t, []string{"b1"}, s.deployed("web"))

	require.Equal(t, v1alpha1.RequestDone, s.done(triggers("r3", "b2")).Phase, "b2 is the newest that had its turn")
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b2"}, s.deployed("web"))
}

func TestAnOlderBuildIsTriggeredInAPipelineWithoutOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Concurrency(v1alpha1.ConcurrencyAllow)))
	s.built("b1")
	s.built("b2")
	s.endAll(store.StatusSucceeded)
	s.done(triggers("r1", "b1"))
}

// An older build that is asked for waits like any other, and nothing supersedes it.
func TestAnOlderBuildThatIsAskedForIsNotSupersededWhileItWaits(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1alpha1.ConcurrencyPolicy{v1alpha1.ConcurrencyQueue, v1alpha1.ConcurrencyLatest} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.Concurrency(policy)))
			s.built("b1")
			s.endAll(store.StatusSucceeded)
			s.built("b2")
			running := s.submit()
			status := s.done(triggers("r1", "b1", given.AllowOlder))
			require.Equal(t, []string{"DEPLOY Held/Turn"}, s.stages(status.Run))
			s.built("b3")
			s.see(store.StatusSucceeded, running...)
			s.follow()
			s.endAll(store.StatusSucceeded)
			require.Equal(t, []string{"b1 #1 Succeeded", "b2 #1 Succeeded", "b1 #2 Succeeded", "b3 #1 Succeeded"}, s.runs("web"))
			require.Equal(t, []string{"b3"}, s.deployed("web"))
		})
	}
}

// Whoever deploys a build once more means what hangs below as well.
func TestWhatIsTriggeredOnceMoreGoesOnToPipelinesThatRanBefore(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")), given.CdPipeline("last", given.BelowCd("below")))
	s.built("b1", given.Artifacts(2)...)
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b1 #1 Succeeded"}, s.runs("last"))
	s.done(triggers("r1", "b1"))
	s.endAll(store.StatusSucceeded)
	for _, pipeline := range []string{"web", "below", "last"} {
		require.Equal(t, []string{"b1 #1 Succeeded", "b1 #1 Succeeded", "b1 #2 Succeeded", "b1 #2 Succeeded"}, s.runs(pipeline), pipeline)
	}
}

func TestWhatIsTriggeredOnceMoreAndFailsStopsThere(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	s.built("b1")
	s.endAll(store.StatusSucceeded)
	s.done(triggers("r1", "b1"))
	s.endAll(store.StatusFailed)
	require.Equal(t, []string{"b1 #1 Succeeded"}, s.runs("below"))
	require.Equal(t, []string{"b1 Triggered/Triggered"}, s.decided("below"))
}

func TestAnOlderBuildThatIsTriggeredDoesNotGoOnWhereANewerOneHadItsTurn(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	s.built("b1")
	s.endAll(store.StatusSucceeded)
	s.built("b2")
	s.endAll(store.StatusSucceeded)
	s.done(triggers("r1", "b1", given.AllowOlder))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b2 #1 Succeeded", "b1 #2 Succeeded"}, s.runs("web"))
	require.Equal(t, []string{"b1 #1 Succeeded", "b2 #1 Succeeded"}, s.runs("below"))
}

func TestABuildWhoseRecordsAreLostIsTriggeredUnderANumberThatNoLostRunHad(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.build("b1")
	s.finish("b1", v1alpha1.BuildSucceeded, given.Artifacts(1)...)
	s.loses("b1")
	s.done(triggers("r1", "b1"))
	require.Equal(t, []string{"11"}, s.table(`SELECT run::text FROM cd_workflow`))
	require.Equal(t, []string{"true"}, s.table(`SELECT (planned_at IS NULL)::text FROM ci_build`), "its plan stays lost")
}

// loses has the status of a build say that its records are lost.
func (s *scene) loses(name string) {
	s.t.Helper()
	build := &v1alpha1.CiBuild{}
	require.NoError(s.t, s.cluster.Get(s.t.Context(), key(name), build))
	build.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonRecordsLost), LastTransitionTime: metav1.Now(),
	}}
	require.NoError(s.t, s.cluster.Status().Update(s.t.Context(), build))
}
