package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// resumes lets a stage of the pipeline web go on.
func resumes(name string, with ...func(*v1alpha1.RunRequest)) *v1alpha1.RunRequest {
	return given.RunRequest(name, v1alpha1.ActionResume, append(with, given.OfPipeline("web"))...)
}

// heldAtDeploy is a pipeline whose run of a build waits for a person.
func heldAtDeploy(t *testing.T, artifacts int) *scene {
	t.Helper()
	s := family(t, given.ManualStage(trigger.StageDeploy))
	s.built("b1", given.Artifacts(artifacts)...)
	s.end(store.StatusSucceeded)
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Held/Person", "POST Held/StageBefore"}, s.stages(1))
	return s
}

func TestResumeLetsTheStageGoOn(t *testing.T) {
	t.Parallel()
	for sentence, with := range map[string][]func(*v1alpha1.RunRequest){
		"of a run":               {given.OfRun(1)},
		"of a build":             {given.OfBuild("b1")},
		"at the stage by name":   {given.OfRun(1), given.AtStage("DEPLOY")},
		"of a build, at a stage": {given.OfBuild("b1"), given.AtStage("DEPLOY")},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := heldAtDeploy(t, 1)
			status := s.done(resumes("r1", append(with, given.By("jane"))...))
			require.EqualValues(t, 1, status.Run)
			require.Equal(t, "stage DEPLOY of run 1 was resumed", status.Message)
			require.Equal(t, []string{"PRE Succeeded", "DEPLOY Pending", "POST Held/StageBefore"}, s.stages(1))
			require.Equal(t, []string{"jane"}, s.table(`SELECT resumed_by FROM cd_workflow_runner WHERE stage = 'DEPLOY'`))
			require.Equal(t, 1, s.woken)
			s.endAll(store.StatusSucceeded)
			require.Equal(t, []string{"b1 #1 Succeeded"}, s.runs("below"))
		})
	}
}

func TestResumeOfABuildLetsAllOfItsRunsGoOn(t *testing.T) {
	t.Parallel()
	s := heldAtDeploy(t, 2)
	require.Equal(t, "stage DEPLOY of runs 1, 2 were resumed", s.done(resumes("r1", given.OfBuild("b1"))).Message)
	require.Len(t, s.submit(), 2)
}

func TestResumeOfOneRunLeavesTheOthersWaiting(t *testing.T) {
	t.Parallel()
	s := heldAtDeploy(t, 2)
	s.done(resumes("r1", given.OfRun(2)))
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Held/Person", "POST Held/StageBefore"}, s.stages(1))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 goes on", "b1 #1 Succeeded"}, s.runs("web"))
	s.done(resumes("r2", given.OfBuild("b1")))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b1 #1 Succeeded"}, s.runs("web"))
}

func TestAResumedStageThatIsOvertakenIsSuperseded(t *testing.T) {
	t.Parallel()
	s := heldAtDeploy(t, 1)
	s.built("b2")
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Superseded/Superseded", "POST Held/StageBefore"}, s.stages(1), "waiting for a person yields the turn")
	require.Equal(t, "no stage of run 1 in CdPipeline web waits for a person", s.refused(resumes("r1", given.OfRun(1))))
}

func TestAResumedStageIsHeldWhereThePipelineIsOnHold(t *testing.T) {
	t.Parallel()
	s := heldAtDeploy(t, 1)
	s.change("web", given.Held)
	s.done(resumes("r1", given.OfRun(1)))
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Held/Hold", "POST Held/StageBefore"}, s.stages(1))
	require.Equal(t, "no stage of run 1 in CdPipeline web waits for a person; stage DEPLOY of run 1 waits for Hold", s.refused(resumes("r2", given.OfRun(1))))
}

func TestAResumedStageWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.ManualStage(trigger.StageDeploy)))
	s.built("b1")
	s.done(resumes("r1", given.OfRun(1)))
	running := s.submit()
	s.built("b2")
	s.done(resumes("r2", given.OfBuild("b2")))
	require.Equal(t, []string{"DEPLOY Held/Turn"}, s.stages(2))
	require.Equal(t, "no stage of a run of build b2 in CdPipeline web waits for a person; stage DEPLOY of run 2 waits for Turn",
		s.refused(resumes("r3", given.OfBuild("b2"))))
	s.see(store.StatusSucceeded, running...)
	s.follow()
	require.Equal(t, []string{"DEPLOY Pending"}, s.stages(2), "it was resumed before")
}
