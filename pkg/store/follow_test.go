package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// endAll claims every row in the queue and ends it.
func endAll(t testing.TB, s *store.Store, end store.Status) {
	t.Helper()
	claims, err := s.Claim(t.Context(), "w", 1000, lease)
	require.NoError(t, err)
	for _, claim := range claims {
		_, err := s.Observe(t.Context(), []store.Observation{{ID: claim.ID, Namespace: claim.Namespace, Owner: claim.PipelineUID, WorkflowName: claim.WorkflowName, Status: end}})
		require.NoError(t, err)
	}
}

func unfollowed(t testing.TB, s *store.Store) []store.Ended {
	t.Helper()
	ended, err := s.Unfollowed(t.Context(), 1000, nil)
	require.NoError(t, err)
	return ended
}

// followAll commits what follows by the pipelines as they are.
func followAll(t testing.TB, s *store.Store, family given.Family) {
	t.Helper()
	var consequences []store.Consequence
	for _, ended := range unfollowed(t, s) {
		consequences = append(consequences, consequenceOf(t, ended, family))
	}
	require.NoError(t, s.Follow(t.Context(), consequences))
}

func consequenceOf(t testing.TB, ended store.Ended, family given.Family) store.Consequence {
	t.Helper()
	if ended.Status != store.StatusSucceeded {
		decisions := decider(t).Ended(ended.Artifact, ended.Pipeline, string(ended.Status), family)
		return store.Consequence{Ended: ended, Outcome: ended.Status, Decisions: decisions}
	}
	step := trigger.AfterSuccess(family.CdPipeline(ended.Pipeline), ended.Stage)
	if !step.Done {
		return store.Consequence{Ended: ended, Next: step.Next, Hold: step.Hold}
	}
	decisions := decider(t).Succeeded(ended.Build, ended.Artifact, ended.Pipeline, family)
	return store.Consequence{Ended: ended, Outcome: ended.Status, Decisions: decisions}
}

const decisionsByName = "SELECT pipeline, outcome, reason FROM trigger_decision ORDER BY pipeline"

func TestAnEndedStageIsToldWithAllThatADecisionNeeds(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("web", given.WithPre, given.Priority(3))))
	require.Empty(t, unfollowed(t, s))
	endAll(t, s, store.StatusSucceeded)
	ended := unfollowed(t, s)
	require.Len(t, ended, 1)
	require.Equal(t, store.Ended{
		ID: runners(t, s)[0], CdWorkflowID: ended[0].CdWorkflowID, Stage: trigger.StagePre, Status: store.StatusSucceeded, Priority: 3,
		Namespace: given.Namespace, Pipeline: "web", PipelineUID: string(given.UID("web")), Run: 1,
		Artifact: given.Artifact(0), Build: given.Build("b1"),
	}, ended[0])
}

func TestStagesFollowEachOtherToTheEndOfTheRun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre, given.WithPost, given.Priority(3)))
	planned(t, s, "b1", family)
	for _, stage := range []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost} {
		require.Equal(t, 1, count(t, s, "cd_workflow WHERE outcome IS NULL AND finished_at IS NULL"))
		require.Equal(t, []string{string(stage) + " 3"}, table(t, s, "SELECT stage, priority FROM cd_workflow_runner WHERE status = 'Pending'"))
		endAll(t, s, store.StatusSucceeded)
		followAll(t, s, family)
	}
	require.Equal(t, []string{"Succeeded true"}, table(t, s, "SELECT outcome, finished_at IS NOT NULL FROM cd_workflow"))
	require.Equal(t, 3, count(t, s, "(SELECT DISTINCT workflow_name FROM cd_workflow_runner WHERE followed_at IS NOT NULL) names"))
}

func TestARunThatMustWaitForAPersonSaysSo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost)), given.CdPipeline("other"))
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"other Triggered Triggered", "web Waiting ManualStage"}, table(t, s, decisionsByName))
	require.Equal(t, []string{"stage DEPLOY succeeded; stage POST waits because its trigger is Manual"},
		table(t, s, "SELECT message FROM trigger_decision WHERE pipeline = 'web'"))
	require.Equal(t, 1, count(t, s, "cd_workflow WHERE pipeline = 'web' AND outcome IS NULL"))
	require.Zero(t, count(t, s, "cd_workflow_runner WHERE status = 'Pending'"))
}

func TestARunThatWaitsForAPersonSaysSoWhateverANewParentDoes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	web := given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost))
	planned(t, s, "b1", given.FamilyOf(web, given.CdPipeline("other", given.WithPre)))
	endAll(t, s, store.StatusSucceeded)
	given.BelowCd("other")(web)
	family := given.FamilyOf(web, given.CdPipeline("other", given.WithPre))
	followAll(t, s, family)
	endAll(t, s, store.StatusFailed)
	followAll(t, s, family)
	require.Equal(t, []string{"other Triggered Triggered", "web Waiting ManualStage"}, table(t, s, decisionsByName))
}

func TestTheSuccessOfAParentTriggersWhatWaited(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(
		given.CdPipeline("a"), given.CdPipeline("b", given.BelowCd("a")), given.CdPipeline("c", given.BelowCd("b")),
		given.CdPipeline("off", given.BelowCd("a"), given.Suspended),
	)
	planned(t, s, "b1", family)
	require.Equal(t, []string{
		"a Triggered Triggered", "b Waiting ParentRunning", "c Waiting ParentRunning", "off Waiting ParentRunning",
	}, table(t, s, decisionsByName))

	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{
		"a Triggered Triggered", "b Triggered Triggered", "c Waiting ParentRunning", "off Skipped Suspended",
	}, table(t, s, decisionsByName))
	require.Equal(t, []string{"b Webhook 1"}, table(t, s,
		"SELECT pipeline, cause, run FROM cd_workflow w JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id WHERE r.status = 'Pending'"))

	endAll(t, s, store.StatusFailed)
	followAll(t, s, family)
	require.Equal(t, []string{
		"a Triggered Triggered", "b Triggered Triggered", "c Blocked ParentNotSucceeded", "off Skipped Suspended",
	}, table(t, s, decisionsByName))
	require.Equal(t, []string{"a Succeeded", "b Failed"}, table(t, s, "SELECT pipeline, outcome FROM cd_workflow ORDER BY 1"))
}

func TestAStageIsFollowedOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := append(given.CdPipelines(20, "web", given.WithPre), *given.CdPipeline("below", given.BelowCd("web-000")))
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	var consequences []store.Consequence
	for _, ended := range unfollowed(t, s) {
		consequences = append(consequences, consequenceOf(t, ended, family))
	}
	var stale atomic.Int32
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := s.Follow(t.Context(), consequences); err != nil {
				if stale.Add(1); !isStale(err) {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 3, stale.Load())
	require.Equal(t, 20, count(t, s, "cd_workflow_runner WHERE stage = 'DEPLOY' AND status = 'Pending'"))
}

func TestABatchWithOneStaleMemberWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(3, "web", given.WithPre)
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	ended := unfollowed(t, s)
	require.NoError(t, s.Follow(t.Context(), []store.Consequence{consequenceOf(t, ended[1], family)}))
	before := fingerprint(t, s)
	err := s.Follow(t.Context(), []store.Consequence{
		consequenceOf(t, ended[0], family), consequenceOf(t, ended[1], family), consequenceOf(t, ended[2], family),
	})
	require.ErrorIs(t, err, store.ErrStale)
	require.Equal(t, before, fingerprint(t, s))
}

func TestAStageThatHasNotEndedCannotBeFollowed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(1, "web"))
	err := s.Follow(t.Context(), []store.Consequence{{Ended: store.Ended{ID: runners(t, s)[0]}, Outcome: store.StatusSucceeded}})
	require.ErrorIs(t, err, store.ErrStale)
}

func TestNothingToFollowIsNoError(t *testing.T) {
	t.Parallel()
	require.NoError(t, newStore(t).Follow(t.Context(), nil))
}

// A parent that was hung below its own descendant while it ran.
func TestARingThatIsClosedMeanwhileEndsByItself(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b", given.BelowCd("a")), given.CdPipeline("c", given.BelowCd("a"))))
	ring := given.FamilyOf(
		given.CdPipeline("a", given.BelowCd("b")), given.CdPipeline("b", given.BelowCd("a")), given.CdPipeline("c", given.BelowCd("a")),
	)
	for range 4 {
		endAll(t, s, store.StatusSucceeded)
		followAll(t, s, ring)
	}
	require.Equal(t, []string{"a Succeeded", "b Succeeded", "c Succeeded"}, table(t, s, "SELECT pipeline, outcome FROM cd_workflow ORDER BY 1"))
	require.Equal(t, []string{"a Triggered Triggered", "b Triggered Triggered", "c Triggered Triggered"}, table(t, s, decisionsByName))
}

func TestEachArtifactIsFollowedOnItsOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b", given.BelowCd("a")))
	_, err := s.Plan(t.Context(), planOf(t, given.Build("b1"), given.Artifacts(2), family))
	require.NoError(t, err)
	row := claim(t, s, "w", 2)[1]
	_, err = s.Observe(t.Context(), []store.Observation{{ID: row.ID, Namespace: row.Namespace, Owner: row.PipelineUID, WorkflowName: row.WorkflowName, Status: store.StatusSucceeded}})
	require.NoError(t, err)
	followAll(t, s, family)
	require.Equal(t, []string{given.Artifact(0).Image + " Waiting", given.Artifact(1).Image + " Triggered"},
		table(t, s, "SELECT image, outcome FROM trigger_decision WHERE pipeline = 'b' ORDER BY 1"))
	require.Equal(t, v1alpha1.Artifact{Image: row.Image, Digest: row.Digest}, given.Artifact(1))
}

func isStale(err error) bool { return errors.Is(err, store.ErrStale) }
