package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// cancelRun asks for the end of the only run of web.
func cancelRun(t testing.TB, s *store.Store, family given.Family) {
	t.Helper()
	request := store.Request{
		Namespace: given.Namespace, Name: "cancel", SpecHash: fmt.Sprint(count(t, s, "run_request")), Action: v1alpha1.ActionCancel,
		Actor: "somebody", Reason: "not now", Pipeline: refOf(family, "web"),
	}
	answer, err := s.CancelRuns(t.Context(), request, 1)
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase, answer.Message)
}

const onlyTask = "SELECT status, reason, message, stop_reason, finished_at IS NOT NULL FROM task WHERE inputs->>'build' = 'b1'"

// Whether a person cancels it or a newer build replaces it: what has not begun ends, what
// is active is to be stopped.
func TestWhatIsStoppedEndsAtOnceOnlyWhereItHasNoWorkflow(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		before func(t *testing.T, s *store.Store)
		ends   bool
		stops  bool
	}{
		"one that nobody claimed": {func(*testing.T, *store.Store) {}, true, false},
		"one that is held by a person": {func(t *testing.T, s *store.Store) {
			execute(t, s, "UPDATE task SET status = 'Held', reason = 'Person'")
		}, true, false},
		"one that is claimed": {func(t *testing.T, s *store.Store) { claim(t, s, "w", 1) }, false, false},
		"one that was given back, and may have a Workflow": {func(t *testing.T, s *store.Store) {
			id := claim(t, s, "w", 1)[0].ID
			_, err := s.Complete(t.Context(), "w", []store.Completion{{ID: id, Attempt: 1, Status: store.StatusPending, Delay: time.Hour}})
			require.NoError(t, err)
		}, false, false},
		"one whose Workflow exists": {func(t *testing.T, s *store.Store) { observe(t, s, claim(t, s, "w", 1)[0], store.StatusSubmitted) }, false, true},
		"one whose Workflow runs":   {func(t *testing.T, s *store.Store) { observe(t, s, claim(t, s, "w", 1)[0], store.StatusRunning) }, false, true},
		"one that has failed, which nobody has followed": {func(t *testing.T, s *store.Store) {
			observe(t, s, claim(t, s, "w", 1)[0], store.StatusFailed)
		}, false, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			for reason, end := range map[string]string{"Cancelled": "Cancelled", "Replaced": "Superseded"} {
				s := newStore(t)
				family := given.FamilyOf(given.CdPipeline("web", given.Concurrency(v1alpha1.ConcurrencyReplace), given.WithRetries(3, 0)))
				planned(t, s, "b1", family)
				tc.before(t, s)
				was := table(t, s, "SELECT status, reason FROM task")[0]
				events := count(t, s, "event WHERE run_id = 1")
				message := "cancelled by somebody: not now"
				if reason == "Cancelled" {
					cancelRun(t, s, family)
				} else {
					message = "a newer build replaces this one (concurrencyPolicy Replace)"
					planned(t, s, "b2", family)
				}
				row := table(t, s, onlyTask)[0]
				if tc.ends {
					require.Equal(t, fmt.Sprint(end, " ", reason, " ", message, " ", reason, " true"), row)
					require.Equal(t, events+1, count(t, s, "event WHERE run_id = 1 AND kind = 'Task'"))
				} else {
					require.Contains(t, row, was)
					require.Contains(t, row, " "+reason+" ", "it is to be stopped")
					require.Equal(t, events, count(t, s, "event WHERE run_id = 1 AND kind = 'Task'"), "nothing has changed yet")
				}
				stopping, err := s.Stopping(t.Context(), 10)
				require.NoError(t, err)
				require.Equal(t, tc.stops, len(stopping) == 1)
				others, err := s.Stopping(t.Context(), 10, 1)
				require.NoError(t, err)
				require.Empty(t, others, "passed over")
			}
		})
	}
}

// A task that is to be stopped ends as such however its Workflow does, but for one that
// has succeeded.
func TestWhatIsStoppedTellsWhy(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for reason, end := range map[string]string{"Cancelled": "Cancelled", "Replaced": "Superseded"} {
		told := end + " " + reason + " because"
		for sentence, tc := range map[string]struct {
			act  func(t *testing.T, s *store.Store, row store.Claim)
			want string
		}{
			"its Workflow fails":                 {func(t *testing.T, s *store.Store, row store.Claim) { observe(t, s, row, store.StatusFailed) }, told},
			"its Workflow ends in error":         {func(t *testing.T, s *store.Store, row store.Claim) { observe(t, s, row, store.StatusError) }, told},
			"its Workflow succeeds all the same": {func(t *testing.T, s *store.Store, row store.Claim) { observe(t, s, row, store.StatusSucceeded) }, "Succeeded  "},
			"its Workflow still runs":            {func(t *testing.T, s *store.Store, row store.Claim) { observe(t, s, row, store.StatusRunning) }, "Running  "},
			"its Workflow is gone": {func(t *testing.T, s *store.Store, row store.Claim) {
				observe(t, s, row, store.StatusRunning)
				_, err := s.Observe(t.Context(), []store.Observation{{Gone: row.ID, Reason: v1alpha1.ReasonWorkflowDeleted, Message: "gone"}})
				require.NoError(t, err)
			}, told},
			"its submitter finds no Workflow": {func(t *testing.T, s *store.Store, row store.Claim) { complete(t, s, row, store.StatusCancelled) }, told},
			"its submitter finds one":         {func(t *testing.T, s *store.Store, row store.Claim) { complete(t, s, row, store.StatusSubmitted) }, "Submitted r m"},
			"its submitter can't tell":        {func(t *testing.T, s *store.Store, row store.Claim) { complete(t, s, row, store.StatusPending) }, "Pending r m"},
			"its template is missing":         {func(t *testing.T, s *store.Store, row store.Claim) { complete(t, s, row, store.StatusError) }, "Error r m"},
		} {
			planned(t, s, reason+" "+sentence, given.CdPipelines(1, "web", unordered))
			row := claim(t, s, "w", 1)[0]
			execute(t, s, "UPDATE task SET stop_reason = $1, stop_message = 'because' WHERE id = $2", reason, row.ID)
			tc.act(t, s, row)
			require.Equal(t, []string{tc.want}, table(t, s, "SELECT status, reason, message FROM task WHERE id = $1", row.ID), "%s: %s", reason, sentence)
			require.Equal(t, []string{tc.want}, table(t, s, "SELECT state, reason, message FROM event WHERE task_id = $1 ORDER BY id DESC LIMIT 1", row.ID), sentence)
			execute(t, s, "UPDATE task SET status = 'Superseded' WHERE id = $1", row.ID) // out of the way of the next claim
		}
	}
}

func complete(t testing.TB, s *store.Store, row store.Claim, as store.Status) {
	t.Helper()
	moved, err := s.Complete(t.Context(), "w", []store.Completion{
		{ID: row.ID, Attempt: row.Attempt, Status: as, Reason: "r", Message: "m", Delay: time.Hour},
	})
	require.NoError(t, err)
	require.Len(t, moved, 1)
}

// Its submitter alone can tell whether there is a Workflow, and must not wait to look.
func TestWhatIsToBeStoppedIsClaimedAgainAtOnceWithTheReason(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	planned(t, s, "b1", family)
	row := claim(t, s, "w", 1)[0]
	require.Empty(t, row.StopReason)
	complete(t, s, row, store.StatusPending)
	claims, err := s.Claim(t.Context(), cd, "w", 1, lease)
	require.NoError(t, err)
	require.Empty(t, claims, "it is left alone for its delay")
	cancelRun(t, s, family)
	row = claim(t, s, "w", 1)[0]
	require.Equal(t, v1alpha1.ReasonCancelled, row.StopReason)
	complete(t, s, row, store.StatusPending)
	require.EqualValues(t, 3, claim(t, s, "w", 1)[0].Attempt, "it is not left alone now")
}

func TestARunThatIsCancelledBetweenItsStagesGoesNoFurther(t *testing.T) {
	t.Parallel()
	for end, outcome := range map[store.Status]string{store.StatusSucceeded: "[Cancelled]", store.StatusFailed: "[Failed]"} {
		s := newStore(t)
		family := given.FamilyOf(given.CdPipeline("web", given.WithPost, given.WithRetries(3, 0)))
		planned(t, s, "b1", family)
		endActive(t, s, end)
		cancelRun(t, s, family)
		require.True(t, unfollowed(t, s)[0].Stopped)
		followAll(t, s, family)
		require.Equal(t, []string{fmt.Sprintf("DEPLOY 1 %s  true", end), "POST 1 Cancelled StageBeforeFailed true"}, stagesOf(t, s))
		require.Equal(t, outcome, fate(t, s, "b1", "web"))
		require.Equal(t, []string{"b1 Ended"}, turns(t, s))
	}
}

// A follower that has read a stage before it was stopped must read it again.
func TestAStageThatWasStoppedMeanwhileIsStale(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre))
	planned(t, s, "b1", family)
	endActive(t, s, store.StatusSucceeded)
	late := consequenceOf(t, unfollowed(t, s)[0], family)
	cancelRun(t, s, family)
	require.ErrorIs(t, s.Follow(t.Context(), []store.Consequence{late}), store.ErrStale)
	followAll(t, s, family)
	require.Equal(t, "[Cancelled]", fate(t, s, "b1", "web"))
}

func TestWhatWaitsOfAPipelineIsCancelled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(
		given.CdPipeline("web", given.WithPost), given.CdPipeline("held", given.ManualStage("DEPLOY")), given.CdPipeline("other"))
	planned(t, s, "b1", family)
	running := claim(t, s, "w", 2)
	planned(t, s, "b2", family)
	for _, pipeline := range []string{"web", "held"} {
		moved, err := s.CancelWaiting(t.Context(), string(given.UID(pipeline)), v1alpha1.ReasonSuspended, "spec.suspend is true")
		require.NoError(t, err)
		require.NotEmpty(t, moved)
	}
	require.Len(t, running, 2)
	require.Equal(t, []string{
		"held b1 DEPLOY Cancelled Suspended", "held b2 DEPLOY Cancelled Suspended", "other b1 DEPLOY Submitting ", "other b2 DEPLOY Held Turn",
		"web b1 DEPLOY Submitting ", "web b1 POST Held StageBefore", "web b2 DEPLOY Cancelled Suspended", "web b2 POST Held StageBefore",
	}, table(t, s, "SELECT owner_name, inputs->>'build', inputs->>'stage', status, reason FROM task ORDER BY 1, 2, 3"))
	moved, err := s.CancelWaiting(t.Context(), string(given.UID("web")), v1alpha1.ReasonSuspended, "spec.suspend is true")
	require.NoError(t, err)
	require.Empty(t, moved, "the second time there is nothing to cancel")

	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, "[Cancelled]", fate(t, s, "b2", "web"))
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
	require.Equal(t, "[Cancelled]", fate(t, s, "b1", "held"))
}
