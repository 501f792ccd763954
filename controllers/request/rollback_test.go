package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// rollsBack asks for a rollback of the pipeline web.
func rollsBack(name string) *v1alpha1.RunRequest {
	return given.RunRequest(name, v1alpha1.ActionRollback, given.OfPipeline("web"))
}

// deployedThrice is a pipeline, and a child, that have deployed three builds.
func deployedThrice(t *testing.T, with ...func(*v1alpha1.CdPipeline)) *scene {
	t.Helper()
	s := newScene(t, given.CdPipeline("web", with...), given.CdPipeline("below", given.BelowCd("web")))
	for _, build := range []string{"b1", "b2", "b3"} {
		s.built(build)
		s.endAll(store.StatusSucceeded)
	}
	require.Equal(t, []string{"b3"}, s.deployed("web"))
	return s
}

func TestRollbackDeploysWhatWasDeployedBeforeAndTheChildrenDoNotFollow(t *testing.T) {
	t.Parallel()
	s := deployedThrice(t, given.WithPre)
	status := s.done(rollsBack("r1"))
	require.Equal(t, message("run %d was made of build b2", status.Run), status.Message)
	require.Equal(t, []string{"PRE Pending", "DEPLOY Held/StageBefore"}, s.stages(status.Run))
	below := s.runs("below")
	decisions := s.decided("below")
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b2 #1 Succeeded", "b3 #1 Succeeded", "b2 #2 Succeeded"}, s.runs("web"))
	require.Equal(t, []string{"b2"}, s.deployed("web"))
	require.Equal(t, below, s.runs("below"))
	require.Equal(t, decisions, s.decided("below"))
	require.Equal(t, []string{"b3"}, s.deployed("below"))
}

func TestRollbackTwiceInARowGoesFurtherBack(t *testing.T) {
	t.Parallel()
	s := deployedThrice(t)
	for _, step := range []struct{ request, deploys string }{{"r1", "b2"}, {"r2", "b1"}} {
		s.done(rollsBack(step.request))
		s.endAll(store.StatusSucceeded)
		require.Equal(t, []string{step.deploys}, s.deployed("web"))
	}
	require.Equal(t, "CdPipeline web has deployed nothing before build b1", s.refused(rollsBack("r3")))
	s.built("b4")
	s.endAll(store.StatusSucceeded)
	s.done(rollsBack("r4"))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b3"}, s.deployed("web"), "of the builds before b4 the newest")
}

func TestARollbackThatFailsLeavesWhatIsDeployed(t *testing.T) {
	t.Parallel()
	s := deployedThrice(t)
	s.done(rollsBack("r1"))
	s.endAll(store.StatusFailed)
	require.Equal(t, []string{"b3"}, s.deployed("web"))
	s.done(rollsBack("r2"))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b2"}, s.deployed("web"))
	require.Equal(t, "b2 #3 Succeeded", s.runs("web")[4])
}

// POST has found out that b2 does not work: it is nothing to go back to.
func TestRollbackPassesOverABuildWhoseRunDidNotSucceedToItsEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPost))
	for _, build := range []struct {
		name  string
		after store.Status
	}{{"b1", store.StatusSucceeded}, {"b2", store.StatusFailed}, {"b3", store.StatusFailed}} {
		s.built(build.name)
		s.end(store.StatusSucceeded)
		s.end(build.after)
	}
	require.Equal(t, []string{"b3"}, s.deployed("web"), "DEPLOY has succeeded")
	require.Equal(t, "run 4 was made of build b1", s.done(rollsBack("r1")).Message)
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1"}, s.deployed("web"))
}

func TestRollbackGoesBackToABuildWhoseRetrySucceeded(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPost))
	s.built("b1")
	s.end(store.StatusSucceeded)
	s.end(store.StatusFailed)
	s.done(retries("r1", given.OfBuild("b1")))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Failed", "b1 #2 Succeeded"}, s.runs("web"))
	s.built("b2")
	s.endAll(store.StatusSucceeded)
	require.Equal(t, "run 4 was made of build b1", s.done(rollsBack("r2")).Message)
	require.Equal(t, []string{"DEPLOY Pending", "POST Held/StageBefore"}, s.stages(4), "it begins with the first stage")
}

func TestRollbackDeploysEveryArtifactThatTheBuildHadDeployed(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1", given.Artifacts(3)...)
	claims := s.submit()
	s.see(store.StatusSucceeded, claims[:2]...)
	s.see(store.StatusFailed, claims[2])
	s.follow()
	s.built("b2", given.Artifacts(3)...)
	s.endAll(store.StatusSucceeded)
	require.Equal(t, message("runs 7, 8 were made of build b1"), s.done(rollsBack("r1")).Message)
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1", "b1", "b2"}, s.deployed("web"))
}

func TestARollbackWaitsForItsTurnAndForAPersonLikeAnyRun(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost)))
	approve := func(run int64) {
		s.done(given.RunRequest(message("approve-%d", run), v1alpha1.ActionResume, given.OfPipeline("web"), given.OfRun(run)))
		s.endAll(store.StatusSucceeded)
	}
	for i, build := range []string{"b1", "b2"} {
		s.built(build)
		s.endAll(store.StatusSucceeded)
		approve(int64(i + 1))
	}
	s.built("b3")
	running := s.submit()
	status := s.done(rollsBack("r1"))
	require.Equal(t, []string{"DEPLOY Held/Turn", "POST Held/StageBefore"}, s.stages(status.Run))
	s.see(store.StatusSucceeded, running...)
	s.follow()
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"DEPLOY Succeeded", "POST Held/Person"}, s.stages(status.Run))
	approve(status.Run)
	require.Equal(t, []string{"b1"}, s.deployed("web"))
}
