package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// retries asks for a retry in the pipeline web.
func retries(name string, with ...func(*v1alpha1.RunRequest)) *v1alpha1.RunRequest {
	return given.RunRequest(name, v1alpha1.ActionRetry, append(with, given.OfPipeline("web"))...)
}

// failedAtDeploy is a pipeline with three stages and a child, whose run has failed at the
// second stage.
func failedAtDeploy(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, given.CdPipeline("web", given.WithPre, given.WithPost), given.CdPipeline("below", given.BelowCd("web")))
	s.built("b1")
	s.end(store.StatusSucceeded)
	s.end(store.StatusFailed)
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Failed/WorkflowFailed", "POST Cancelled/StageBeforeFailed"}, s.stages(1))
	require.Equal(t, []string{"b1 Blocked/ParentNotSucceeded"}, s.decided("below"))
	return s
}

func TestRetryBeginsAtTheStageThatFailedAndTheChildrenFollow(t *testing.T) {
	t.Parallel()
	for sentence, of := range map[string]func(*v1alpha1.RunRequest){
		"of a run":            given.OfRun(1),
		"of a build":          given.OfBuild("b1"),
		"at the stage itself": func(r *v1alpha1.RunRequest) { given.OfRun(1)(r); given.AtStage("DEPLOY")(r) },
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := failedAtDeploy(t)
			status := s.done(retries("r1", of))
			require.Equal(t, []string{"DEPLOY Pending", "POST Held/StageBefore"}, s.stages(status.Run))
			require.Equal(t, []string{"b1 #1 Failed", "b1 #2 goes on"}, s.runs("web"))
			require.Equal(t, []string{"b1 Waiting/ParentRunning"}, s.decided("below"))
			s.endAll(store.StatusSucceeded)
			require.Equal(t, []string{"b1 #1 Failed", "b1 #2 Succeeded"}, s.runs("web"))
			require.Equal(t, []string{"b1 #1 Succeeded"}, s.runs("below"))
			require.Equal(t, []string{"b1"}, s.deployed("web"))
		})
	}
}

func TestRetryBeginsEarlierWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := failedAtDeploy(t)
	status := s.done(retries("r1", given.OfRun(1), given.AtStage("PRE")))
	require.Equal(t, []string{"PRE Pending", "DEPLOY Held/StageBefore", "POST Held/StageBefore"}, s.stages(status.Run))
}

func TestARetryThatFailsIsRetriedInTurn(t *testing.T) {
	t.Parallel()
	s := failedAtDeploy(t)
	s.done(retries("r1", given.OfRun(1)))
	s.end(store.StatusSucceeded)
	s.end(store.StatusFailed)
	require.Equal(t, "run 1 is not the newest of its artifact: retry that one", s.refused(retries("r2", given.OfRun(1))))
	status := s.done(retries("r3", given.OfRun(2)))
	require.Equal(t, []string{"POST Pending"}, s.stages(status.Run))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Failed", "b1 #2 Failed", "b1 #3 Succeeded"}, s.runs("web"))
	require.Equal(t, []string{"b1"}, s.deployed("web"))
	require.Equal(t, []string{"b1 #1 Succeeded"}, s.runs("below"))
}

func TestRetryOfABuildRunsItsFailedArtifactsAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	s.built("b1", given.Artifacts(3)...)
	claims := s.submit()
	s.see(store.StatusSucceeded, claims[0])
	s.see(store.StatusFailed, claims[1:]...)
	s.follow()
	s.endAll(store.StatusSucceeded)
	status := s.done(retries("r1", given.OfBuild("b1")))
	require.Equal(t, message("runs %d, %d were made of build b1", status.Run, status.Run+1), status.Message)
	require.Equal(t, []string{"b1 #1 Succeeded", "b1 #1 Failed", "b1 #1 Failed", "b1 #2 goes on", "b1 #2 goes on"}, s.runs("web"))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b1 #1 Succeeded", "b1 #1 Succeeded"}, s.runs("below"))
}

func TestARetriedRunIsGivenWhatTheFirstWas(t *testing.T) {
	t.Parallel()
	two := []v1alpha1.Artifact{given.Artifact(0), given.Artifact(0)}
	two[1].Image = "registry.example.com/app-000:latest"
	for sentence, tc := range map[string]struct {
		with      []func(*v1alpha1.CdPipeline)
		artifacts []v1alpha1.Artifact
		runs      int
	}{
		"two tags of one digest are one run":    {nil, two, 1},
		"all artifacts of a build are one run":  {[]func(*v1alpha1.CdPipeline){given.AllArtifacts}, given.Artifacts(3), 1},
		"each artifact of a build is its own":   {nil, given.Artifacts(3), 3},
		"what is filtered out is not run again": {[]func(*v1alpha1.CdPipeline){given.AllArtifacts, given.Filter(`artifact.image.contains("1:")`)}, given.Artifacts(3), 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", tc.with...))
			s.built("b1", tc.artifacts...)
			first := s.submit()
			require.Len(t, first, tc.runs)
			s.see(store.StatusFailed, first...)
			s.follow()
			s.done(retries("r1", given.OfBuild("b1")))
			second := s.submit()
			require.Len(t, second, tc.runs)
			for i, claim := range second {
				require.Empty(t, claim.Inputs.Parent, "a person asked for it")
				require.Equal(t, "RunRequest r1", claim.Inputs.Actor)
				claim.Inputs.Actor = ""
				claim.Inputs.Run, claim.Inputs.Parent = first[i].Inputs.Run, first[i].Inputs.Parent
				require.Equal(t, first[i].Inputs, claim.Inputs)
			}
			also := `SELECT array_to_string(also, ' ') FROM cd_workflow WHERE run = $1 ORDER BY id`
			require.Equal(t, s.table(also, 1), s.table(also, 2))
		})
	}
}

func TestARunThatSucceededIsRetriedFromAStageThatIsNamed(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPre, given.WithPost))
	s.built("b1")
	s.endAll(store.StatusSucceeded)
	require.Equal(t, "run 1 in CdPipeline web has succeeded: name spec.stage to run it again from there on", s.refused(retries("r1", given.OfRun(1))))
	require.Equal(t, "every run of build b1 in CdPipeline web has succeeded: name spec.stage to run it again from there on",
		s.refused(retries("r2", given.OfBuild("b1"))))
	status := s.done(retries("r3", given.OfRun(1), given.AtStage("POST")))
	require.Equal(t, []string{"POST Pending"}, s.stages(status.Run))
}

func TestARunThatWasCancelledIsRetriedFromTheStageThatNeverRan(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPre, given.ManualStage(trigger.StageDeploy)))
	s.built("b1")
	s.end(store.StatusSucceeded)
	s.done(cancels("r1", given.OfRun(1)))
	s.follow()
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Cancelled/Cancelled"}, s.stages(1))
	status := s.done(retries("r2", given.OfRun(1)))
	require.Equal(t, []string{"DEPLOY Held/Person"}, s.stages(status.Run), "the right to retry is not the right to approve")
}

func TestRetryOfAnOlderBuildNeedsToBeAllowed(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.endAll(store.StatusFailed)
	s.built("b2")
	s.endAll(store.StatusSucceeded)
	require.Equal(t, "build b1 is older than one that had its turn in CdPipeline web: set spec.allowOlder in a new RunRequest to deploy it all the same",
		s.refused(retries("r1", given.OfBuild("b1"))))
	s.done(retries("r2", given.OfBuild("b1"), given.AllowOlder))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1"}, s.deployed("web"))
}

func TestASupersededRunIsRetriedWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Concurrency(v1alpha1.ConcurrencyLatest)))
	for _, build := range []string{"b1", "b2", "b3"} {
		s.built(build)
	}
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b1 #1 Succeeded", "b2 #1 Superseded", "b3 #1 Succeeded"}, s.runs("web"))
	s.done(retries("r1", given.OfBuild("b2"), given.AllowOlder))
	s.endAll(store.StatusSucceeded)
	require.Equal(t, []string{"b2"}, s.deployed("web"))
}

func TestARunOfABuildThatIsNotPlannedToItsEndCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.end(store.StatusFailed)
	for _, statement := range []string{
		`UPDATE ci_build SET planned_at = NULL`, `INSERT INTO plan (build_uid, namespace, ci_pipeline, suspended) SELECT build_uid, namespace, ci_pipeline, false FROM ci_build`,
	} {
		_, err := s.store.Pool().Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, s.cluster.Create(t.Context(), retries("r1", given.OfRun(1))))
	result, err := s.look("r1")
	require.NoError(t, err)
	require.Positive(t, result.RequeueAfter, "it waits for the plan")
	require.Empty(t, s.status("r1").Phase)

	_, err = s.store.Pool().Exec(t.Context(), `WITH done AS (DELETE FROM plan) UPDATE ci_build SET planned_at = now()`)
	require.NoError(t, err)
	_, err = s.look("r1")
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, s.status("r1").Phase)
	require.Equal(t, []string{"b1 #1 Failed", "b1 #2 goes on"}, s.runs("web"))
}

func TestARunOfABuildWhosePlanIsLostCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.build("b1")
	s.finish("b1", v1alpha1.BuildSucceeded, given.Artifacts(1)...)
	s.loses("b1")
	run := s.done(triggers("r1", "b1")).Run
	s.end(store.StatusFailed)
	s.done(retries("r2", given.OfRun(run)))
	require.Equal(t, []string{"b1 #11 Failed", "b1 #12 goes on"}, s.runs("web"))
}
