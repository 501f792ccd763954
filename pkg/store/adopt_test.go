package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// adoptionOf is that of the Workflow of a stage, in its second attempt, of a build's first run in web.
func adoptionOf(build trigger.Build, pipeline *v1alpha1.CdPipeline, stage trigger.Stage) store.Adoption {
	return store.Adoption{Build: build, Pipeline: pipeline, Artifact: given.Artifact(0), Identity: identityOf(build.UID, string(pipeline.UID), stage, 2)}
}

func adopt(t *testing.T, s *store.Store, adoption store.Adoption) store.Claim {
	t.Helper()
	name := types.NamespacedName{Namespace: given.Namespace, Name: trigger.WorkflowName(adoption.Pipeline.Name, adoption.Identity)}
	unknown, err := s.Unknown(t.Context(), []types.NamespacedName{name})
	require.NoError(t, err)
	require.Equal(t, []types.NamespacedName{name}, unknown)
	done, err := s.Adopt(t.Context(), adoption)
	require.NoError(t, err)
	require.True(t, done)
	unknown, err = s.Unknown(t.Context(), []types.NamespacedName{name})
	require.NoError(t, err)
	require.Empty(t, unknown)
	again, err := s.Adopt(t.Context(), adoption)
	require.NoError(t, err)
	require.False(t, again, "it is there")
	return store.Claim{Namespace: given.Namespace, WorkflowName: name.Name, Identity: adoption.Identity.Hash()}
}

func TestAnAdoptedWorkflowIsFollowedAndNothingBelow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithPre, given.WithPost)
	task := adopt(t, s, adoptionOf(builtAt("b1", 1), &family[0], trigger.StageDeploy))
	require.Equal(t, []string{"DEPLOY Pending/Adopted", "POST Held/StageBefore"}, stagesOfBuild(t, s, "b1", "web"), "what came before is over")
	require.Equal(t, "[Activetrue]", turnOf(t, s, "b1"))
	claims, err := s.Claim(t.Context(), cd, "w", 10, lease)
	require.NoError(t, err)
	require.Empty(t, claims, "it is not made once more")
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	require.Equal(t, "[Waitingtrue]", turnOf(t, s, "b2"), "one build at a time")

	observe(t, s, task, store.StatusRunning)
	endsAs(t, s, task, store.StatusSucceeded, family)
	require.Equal(t, []string{"DEPLOY Succeeded", "POST Pending"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, []string{"b1"}, table(t, s, "SELECT build_name FROM deployed"))
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
	require.Zero(t, count(t, s, "cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = 'b1' AND pipeline <> 'web'"))
	require.Equal(t, 1, count(t, s, "ci_build WHERE build_name = 'b1' AND planned_at IS NULL"), "its plan is lost")
}

func TestAWorkflowThatIsAdoptedWhileAnotherBuildHasItsTurnIsFollowedAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithPost)
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	task := adopt(t, s, adoptionOf(builtAt("b1", 1), &family[0], trigger.StageDeploy))
	require.Equal(t, "[Activetrue]", turnOf(t, s, "b2"))
	observe(t, s, task, store.StatusRunning)
	endsAs(t, s, task, store.StatusSucceeded, family)
	require.Equal(t, []string{"DEPLOY Succeeded", "POST Superseded/Superseded"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, "[Activetrue]", turnOf(t, s, "b2"))
}

func TestAnAdoptedAttemptThatFailsIsTriedAgainAsTheNext(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithRetries(3, 0))
	task := adopt(t, s, adoptionOf(builtAt("b1", 1), &family[0], trigger.StageDeploy))
	endsAs(t, s, task, store.StatusFailed, family)
	require.Equal(t, []string{"3"}, table(t, s, "SELECT attempt FROM cd_workflow_runner"))
	require.Equal(t, []string{"DEPLOY Pending"}, stagesOfBuild(t, s, "b1", "web"))
}

// The status of the build did not say yet that it was planned.
func TestABuildThatIsPlannedAfterAWorkflowOfItWasAdoptedDoesNotTakeASecondTurn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	task := adopt(t, s, adoptionOf(builtAt("b1", 1), &family[0], trigger.StageDeploy))
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	require.Equal(t, 1, count(t, s, "cd_workflow"))
	require.Equal(t, 1, count(t, s, "turn"), "one without a run would never end")
	endsAs(t, s, task, store.StatusSucceeded, family)
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	require.Equal(t, "[Activetrue]", turnOf(t, s, "b2"))
}
