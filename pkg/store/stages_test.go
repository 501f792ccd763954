package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// stagesOf are the stages of the only run, each with its attempt and its task.
func stagesOf(t testing.TB, s *store.Store) []string {
	t.Helper()
	return table(t, s, `SELECT r.stage, r.attempt, t.status, t.reason, t.settled_at IS NOT NULL AS settled
		FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id ORDER BY r.id`)
}

func TestAStageWaitsForTheOneBefore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre, given.WithPost))
	planned(t, s, "b1", family)
	require.Equal(t, []string{"PRE 1 Pending  false", "DEPLOY 1 Held StageBefore false", "POST 1 Held StageBefore false"}, stagesOf(t, s))
	require.Len(t, claim(t, s, "w", 1), 1, "the others are not in the queue")
	endActive(t, s, store.StatusSucceeded)
	require.Equal(t, []string{"PRE 1 Succeeded  false", "DEPLOY 1 Held StageBefore false", "POST 1 Held StageBefore false"}, stagesOf(t, s))
	followAll(t, s, family)
	require.Equal(t, []string{"PRE 1 Succeeded  true", "DEPLOY 1 Pending  false", "POST 1 Held StageBefore false"}, stagesOf(t, s))
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"PRE 1 Succeeded  true", "DEPLOY 1 Succeeded  true", "POST 1 Pending  false"}, stagesOf(t, s))
}

func TestAStageThatDoesNotSucceedEndsThoseBehindIt(t *testing.T) {
	t.Parallel()
	for _, end := range []store.Status{store.StatusFailed, store.StatusError, store.StatusCancelled} {
		s := newStore(t)
		family := given.FamilyOf(given.CdPipeline("web", given.WithPre, given.WithPost))
		planned(t, s, "b1", family)
		endActive(t, s, end)
		followAll(t, s, family)
		require.Equal(t, []string{
			"PRE 1 " + string(end) + "  true", "DEPLOY 1 Cancelled StageBeforeFailed true", "POST 1 Cancelled StageBeforeFailed true",
		}, stagesOf(t, s))
		require.Equal(t, []string{string(end)}, table(t, s, "SELECT outcome FROM cd_workflow"))
		require.Zero(t, count(t, s, "task WHERE finished_at IS NULL"))
		require.Empty(t, unfollowed(t, s), "nothing follows what never started")
	}
}

func TestAStageIsInTheQueueSinceItWasLetGo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre))
	planned(t, s, "b1", family)
	planned(t, s, "b2", family) // waits for its turn
	execute(t, s, "UPDATE task SET created_at = now() - interval '1 day', queued_at = now() - interval '1 day', fair_at = now() - interval '1 day'")
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	_, oldest, err := s.QueueDepth(t.Context())
	require.NoError(t, err)
	require.Less(t, oldest, time.Hour, "DEPLOY waited for PRE")
	require.Less(t, claim(t, s, "w", 1)[0].Waited, time.Hour)
	endActive(t, s, store.StatusFailed)
	followAll(t, s, family)
	next := claim(t, s, "w", 1)[0]
	require.Equal(t, "b2", next.Inputs.Build)
	require.Less(t, next.Waited, time.Hour, "it waited for its turn")
}

func TestARetryIsAnotherTaskOfTheSameStage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre, given.WithPost, given.WithRetries(2, 0), given.Priority(4)))
	planned(t, s, "b1", family)
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	var names []string
	for attempt := int32(1); attempt <= 3; attempt++ {
		require.Equal(t, []string{fmt.Sprintf("DEPLOY %d Pending  false", attempt)}, stagesOf(t, s)[1:2])
		task := claim(t, s, "w", 1)[0]
		identity := identityOf(given.Build("b1").UID, string(given.UID("web")), trigger.StageDeploy, attempt)
		require.Equal(t, identity.Hash(), task.Identity)
		require.Equal(t, trigger.WorkflowName("web", identity), task.WorkflowName)
		require.NotContains(t, names, task.WorkflowName)
		require.Equal(t, trigger.StageDeploy, task.Inputs.Stage)
		require.EqualValues(t, 1, task.Attempt, "it is the first claim of this task")
		names = append(names, task.WorkflowName)
		observe(t, s, task, store.StatusFailed)
		require.Equal(t, attempt, unfollowed(t, s)[0].Attempt)
		followAll(t, s, family)
	}
	require.Equal(t, []string{"PRE 1 Succeeded  true", "DEPLOY 3 Failed  true", "POST 1 Cancelled StageBeforeFailed true"}, stagesOf(t, s))
	require.Equal(t, []string{"Failed 1"}, table(t, s, "SELECT outcome, run FROM cd_workflow"), "all of it is one run")
	require.Equal(t, 3, count(t, s, "task WHERE inputs->>'stage' = 'DEPLOY' AND status = 'Failed' AND settled_at IS NOT NULL AND priority = 4"))
}

func TestARetryThatSucceedsGoesOn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPost, given.WithRetries(1, time.Minute)))
	planned(t, s, "b1", family)
	endActive(t, s, store.StatusError)
	followAll(t, s, family)
	require.Equal(t, 1, count(t, s, "task WHERE status = 'Pending' AND available_at BETWEEN now() + interval '50 s' AND now() + interval '1 min'"))
	require.EqualValues(t, 1, summaryOf(t, s, "b1").Triggers.Running, "a stage that is tried again has had a Workflow")
	execute(t, s, "UPDATE task SET available_at = now() WHERE status = 'Pending'")
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"DEPLOY 2 Succeeded  true", "POST 1 Pending  false"}, stagesOf(t, s))
	deployed, err := s.Deployed(t.Context(), []string{string(given.UID("web"))})
	require.NoError(t, err)
	require.Len(t, deployed, 1)
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
}

func TestAFailureWithoutAWorkflowIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithRetries(5, 0)))
	planned(t, s, "b1", family)
	row := claim(t, s, "w", 1)[0]
	_, err := s.Complete(t.Context(), "w", []store.Completion{{ID: row.ID, Attempt: 1, Status: store.StatusError}})
	require.NoError(t, err)
	require.False(t, unfollowed(t, s)[0].HadWorkflow)
	followAll(t, s, family)
	require.Equal(t, "[Error]", fate(t, s, "b1", "web"))
}

func TestWhatIsDeployedIsOfTheLastDeployThatSucceeded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPost))
	uid := string(given.UID("web"))
	deployed := func() []string {
		all, err := s.Deployed(t.Context(), []string{uid, "unknown"})
		require.NoError(t, err)
		require.LessOrEqual(t, len(all), 1)
		return deployedNames(all[uid])
	}
	for _, step := range []struct {
		build string
		end   store.Status
		want  []string
	}{
		{"b1", store.StatusSucceeded, []string{given.Artifact(0).Image + " b1"}},
		{"b2", store.StatusFailed, []string{given.Artifact(0).Image + " b1"}},
		{"b3", store.StatusSucceeded, []string{given.Artifact(0).Image + " b3"}},
	} {
		planned(t, s, step.build, family)
		endActive(t, s, step.end)
		followAll(t, s, family)
		require.Equal(t, step.want, deployed(), step.build)
		endActive(t, s, store.StatusFailed) // POST undoes no DEPLOY
		followAll(t, s, family)
		require.Equal(t, step.want, deployed(), step.build)
	}
}

func TestARunThatGoesNoFurtherEndsWithItsStage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	planned(t, s, "b1", family)
	execute(t, s, "UPDATE cd_workflow SET descends = false")
	endActive(t, s, store.StatusSucceeded)
	require.False(t, unfollowed(t, s)[0].Descends)
	followAll(t, s, family)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
	require.Equal(t, "[Waiting ParentRunning]", fate(t, s, "b1", "below"))
}
