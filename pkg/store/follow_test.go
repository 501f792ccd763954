package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// endAll claims every task in the queue and ends it.
func endAll(t testing.TB, s *store.Store, end store.Status) []store.Claim {
	t.Helper()
	claims, err := s.Claim(t.Context(), cd, "w", 1000, lease)
	require.NoError(t, err)
	for _, claim := range claims {
		observe(t, s, claim, end)
	}
	return claims
}

// observe sees the Workflow of a claim, which moves its task.
func observe(t testing.TB, s *store.Store, claim store.Claim, status store.Status) {
	t.Helper()
	moved, err := s.Observe(t.Context(), []store.Observation{seen(claim, status)})
	require.NoError(t, err)
	require.Len(t, moved, 1)
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

// consequenceOf decides as the follower does: the next stage, another attempt, or the
// end of the run.
func consequenceOf(t testing.TB, ended store.Ended, family given.Family) store.Consequence {
	t.Helper()
	pipeline := family.CdPipeline(ended.Pipeline)
	consequence := store.Consequence{Ended: ended, Policy: pipeline.Spec.ConcurrencyPolicy}
	after, more := trigger.RetryAfter(pipeline, ended.Stage, ended.Attempt)
	switch {
	case ended.Status == store.StatusSucceeded && !ended.Stopped && !ended.Overtaken && !ended.UnderWay && ended.Worst == "" && nextStage(pipeline, ended) != "":
		consequence.Next = nextStage(pipeline, ended)
		consequence.Hold = trigger.HoldOf(pipeline, consequence.Next, false)
		return consequence
	case more && !ended.Stopped && !ended.Overtaken && (ended.Status == store.StatusFailed || ended.Status == store.StatusError && ended.HadWorkflow):
		consequence.Retries, consequence.RetryAfter = true, after
		return consequence
	case ended.UnderWay:
		return consequence
	}
	consequence.Outcome = outcomeOf(pipeline, ended)
	return withDecisions(t, consequence, family)
}

func outcomeOf(pipeline *v1alpha1.CdPipeline, ended store.Ended) store.Status {
	switch next := nextStage(pipeline, ended); {
	case ended.Status != store.StatusSucceeded:
		return ended.Status
	case ended.Worst != "":
		return ended.Worst
	case ended.Overtaken && next != "":
		return store.StatusSuperseded
	case next != "":
		return store.StatusCancelled
	default:
		return store.StatusSucceeded
	}
}

func nextStage(pipeline *v1alpha1.CdPipeline, ended store.Ended) trigger.Stage {
	if len(ended.Later) > 0 {
		return ended.Later[0]
	}
	if behind := trigger.Stages(pipeline, ended.Stage); !ended.Whole && !ended.Ahead && len(behind) > 1 {
		return behind[1]
	}
	return ""
}

// withDecisions adds what a run's end means for the pipelines below.
func withDecisions(t testing.TB, end store.Consequence, family given.Family) store.Consequence {
	t.Helper()
	switch ended := end.Ended; {
	case !ended.Descends:
	case end.Outcome == store.StatusSucceeded && ended.Overtaken:
		end.Decisions = decider(t).Late(ended.Artifacts, ended.Pipeline, family)
	case end.Outcome == store.StatusSucceeded:
		end.Decisions = decider(t).Succeeded(ended.Build, ended.Artifacts, ended.Pipeline, family)
	default:
		end.Decisions = decider(t).Ended(ended.Artifacts, ended.Pipeline, string(end.Outcome), family)
	}
	return end
}

const decisionsByName = "SELECT pipeline, outcome, reason FROM trigger_decision ORDER BY pipeline"

func TestAnEndedStageIsToldWithAllThatADecisionNeeds(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("web", given.WithPre, given.WithPost, given.Priority(3))))
	require.Empty(t, unfollowed(t, s))
	endAll(t, s, store.StatusSucceeded)
	ended := unfollowed(t, s)
	require.Len(t, ended, 1)
	require.Equal(t, store.Ended{
		ID: taskIDs(t, s)[0], StageID: ended[0].StageID, RunID: ended[0].RunID, TurnID: ended[0].TurnID,
		Stage: trigger.StagePre, Attempt: 1, Status: store.StatusSucceeded, HadWorkflow: true, Priority: 3, Parent: "CiPipeline/ci",
		Namespace: given.Namespace, Pipeline: "web", PipelineUID: string(given.UID("web")), Number: 1,
		Artifacts: given.Artifacts(1), Descends: true, Later: []trigger.Stage{trigger.StageDeploy, trigger.StagePost}, Whole: true,
		Build: given.Build("b1"),
	}, ended[0])
	require.Equal(t, []string{fmt.Sprint(ended[0].StageID, " ", ended[0].RunID, " ", ended[0].TurnID)}, table(t, s,
		"SELECT r.id, w.id, w.turn_id FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id WHERE r.stage = 'PRE'"))
}

func TestStagesFollowEachOtherToTheEndOfTheRun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre, given.WithPost, given.Priority(3)))
	planned(t, s, "b1", family)
	for _, stage := range []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost} {
		require.Equal(t, 1, count(t, s, "cd_workflow WHERE outcome IS NULL AND finished_at IS NULL"))
		require.Equal(t, []string{string(stage) + " 3"}, table(t, s,
			"SELECT stage, priority FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id WHERE status = 'Pending'"))
		endAll(t, s, store.StatusSucceeded)
		followAll(t, s, family)
	}
	require.Equal(t, []string{"Succeeded true"}, table(t, s, "SELECT outcome, finished_at IS NOT NULL FROM cd_workflow"))
	require.Equal(t, 3, count(t, s, "(SELECT DISTINCT workflow_name FROM task WHERE settled_at IS NOT NULL) names"))
}

func TestARunThatMustWaitForAPersonSaysSo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost)), given.CdPipeline("other"))
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"other Triggered Triggered", "web Triggered Triggered"}, table(t, s, decisionsByName))
	require.Equal(t, []string{"POST Held Person the trigger of stage POST is Manual: create a RunRequest with action Resume to go on"},
		table(t, s, "SELECT stage, status, reason, message FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id WHERE status = 'Held'"))
	require.Equal(t, 1, count(t, s, "cd_workflow WHERE pipeline = 'web' AND outcome IS NULL"))
	require.Zero(t, count(t, s, "task WHERE status = 'Pending'"))
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
	require.Equal(t, []string{"other Triggered Triggered", "web Triggered Triggered"}, table(t, s, decisionsByName))
	require.Equal(t, []string{"web Held Person"}, table(t, s, "SELECT owner_name, status, reason FROM task WHERE status = 'Held'"))
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
		"SELECT pipeline, cause, run FROM cd_workflow w JOIN task t ON (t.inputs->>'run')::bigint = w.id WHERE t.status = 'Pending'"))

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
	require.Equal(t, 20, count(t, s, "task WHERE inputs->>'stage' = 'DEPLOY' AND status = 'Pending'"))
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
	err := s.Follow(t.Context(), []store.Consequence{{Ended: store.Ended{ID: taskIDs(t, s)[0]}, Outcome: store.StatusSucceeded}})
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
	observe(t, s, row, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{given.Artifact(0).Image + " Waiting", given.Artifact(1).Image + " Triggered"},
		table(t, s, "SELECT image, outcome FROM trigger_decision WHERE pipeline = 'b' ORDER BY 1"))
	require.Equal(t, v1alpha1.Artifact{Image: row.Inputs.Image, Digest: row.Inputs.Digest}, given.Artifact(1))
}

func isStale(err error) bool { return errors.Is(err, store.ErrStale) }
