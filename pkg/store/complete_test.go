package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAClaimedTaskIsCompletedOnlyByItsWorker(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const state = "SELECT status, reason, attempt, submitted_at IS NOT NULL, finished_at IS NOT NULL, lease_until IS NULL FROM task WHERE id = $1"
	for sentence, tc := range map[string]struct {
		// before happens between the claim and the completion.
		before  string
		worker  string
		attempt int32
		status  store.Status
		moves   bool
		want    string
	}{
		"submitted":      {"", "w", 1, store.StatusSubmitted, true, "Submitted r 1 true false true"},
		"given back":     {"", "w", 1, store.StatusPending, true, "Pending r 1 false false true"},
		"held":           {"", "w", 1, store.StatusHeld, true, "Held r 1 false false true"},
		"ended in error": {"", "w", 1, store.StatusError, true, "Error r 1 false true true"},
		"cancelled":      {"", "w", 1, store.StatusCancelled, true, "Cancelled r 1 false true true"},
		"another worker writes nothing": {
			"", "other", 1, store.StatusSubmitted, false, "Submitting  1 false false false",
		},
		"an older attempt writes nothing": {
			"UPDATE task SET attempt = 2 WHERE id = $1",
			"w", 1, store.StatusSubmitted, false, "Submitting  2 false false false",
		},
		"a task that was reclaimed stays": {
			"UPDATE task SET status = 'Pending', claimed_by = '', lease_until = NULL WHERE id = $1",
			"w", 1, store.StatusSubmitted, false, "Pending  1 false false true",
		},
		"a task that was seen running stays": {
			"UPDATE task SET status = 'Running', lease_until = NULL, submitted_at = now() WHERE id = $1",
			"w", 1, store.StatusSubmitted, false, "Running  1 true false true",
		},
		"a task that has ended stays": {
			"UPDATE task SET status = 'Succeeded', lease_until = NULL WHERE id = $1",
			"w", 1, store.StatusError, false, "Succeeded  1 false false true",
		},
		"a worker can't say that it runs":      {"", "w", 1, store.StatusRunning, false, "Submitting  1 false false false"},
		"a worker can't say that it succeeded": {"", "w", 1, store.StatusSucceeded, false, "Submitting  1 false false false"},
		"a lease that has run out and that nobody took is still the worker's": {
			"UPDATE task SET lease_until = now() - interval '1 h' WHERE id = $1",
			"w", 1, store.StatusSubmitted, true, "Submitted r 1 true false true",
		},
	} {
		planned(t, s, sentence, given.CdPipelines(1, "web", unordered))
		row := claim(t, s, "w", 1)[0]
		id := row.ID
		if tc.before != "" {
			execute(t, s, tc.before, id)
		}
		moved, err := s.Complete(t.Context(), tc.worker, []store.Completion{
			{ID: id, Attempt: tc.attempt, Status: tc.status, Reason: "r", Message: "m"},
		})
		require.NoError(t, err, sentence)
		require.Equal(t, []string{tc.want}, table(t, s, state, id), sentence)
		require.Equal(t, told(tc.moves, row, tc.status), moved, sentence)
		// Out of the way of the next claim.
		execute(t, s, "UPDATE task SET status = 'Superseded' WHERE id = $1", id)
	}
}

// told is what a transition returns: the task, where it moved, and the objects it belongs to.
func told(moved bool, row store.Claim, status store.Status) []store.Moved {
	if !moved {
		return []store.Moved{}
	}
	return []store.Moved{{
		ID: row.ID, WorkflowName: row.WorkflowName, Status: string(status), Namespace: given.Namespace,
		Pipeline: "web-000", PipelineUid: string(given.UID("web-000")), BuildName: row.Inputs.Build,
	}}
}

func TestCompletionsOfOneBatchAreIndependent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(4, "web"))
	claims := claim(t, s, "w", 4)
	execute(t, s, "UPDATE task SET claimed_by = 'thief' WHERE id = $1", claims[1].ID)
	moved, err := s.Complete(t.Context(), "w", []store.Completion{
		{ID: claims[3].ID, Attempt: 1, Status: store.StatusSubmitted},
		{ID: claims[2].ID, Attempt: 1, Status: store.StatusError, Reason: "NameConflict"},
		{ID: claims[1].ID, Attempt: 1, Status: store.StatusSubmitted},
		{ID: claims[0].ID, Attempt: 1, Status: store.StatusPending},
		{ID: 1 << 40, Attempt: 1, Status: store.StatusSubmitted},
	})
	require.NoError(t, err)
	require.Len(t, moved, 3)
	require.Equal(t, []string{"Pending", "Submitting", "Error", "Submitted"},
		table(t, s, "SELECT status FROM task ORDER BY id"))
}

func TestNothingToCompleteIsNoError(t *testing.T) {
	t.Parallel()
	moved, err := newStore(t).Complete(t.Context(), "w", nil)
	require.NoError(t, err)
	require.Empty(t, moved)
}

func TestOnlyAFailureThatTheTaskIsToBlameForIsCounted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	claims := claim(t, s, "w", 3)
	_, err := s.Complete(t.Context(), "w", []store.Completion{
		{ID: claims[0].ID, Attempt: 1, Status: store.StatusPending, Failed: true, Delay: time.Minute},
		{ID: claims[1].ID, Attempt: 1, Status: store.StatusPending, Delay: time.Minute},
		{ID: claims[2].ID, Attempt: 1, Status: store.StatusPending},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "0", "0"}, table(t, s, "SELECT failures::text FROM task ORDER BY id"))
	require.Equal(t, []string{"1", "1", "1"}, table(t, s, "SELECT attempt::text FROM task ORDER BY id"))
	require.Equal(t, 2, count(t, s, "task WHERE available_at > now()"))
}

func TestATaskThatIsGivenBackIsLeftAloneForItsDelay(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(1, "web"))
	id := claim(t, s, "w", 1)[0].ID
	_, err := s.Complete(t.Context(), "w", []store.Completion{
		{ID: id, Attempt: 1, Status: store.StatusPending, Delay: 10 * time.Minute},
	})
	require.NoError(t, err)
	require.Equal(t, 1, count(t, s, "task WHERE available_at = changed_at + interval '10 min'"))
	claims, err := s.Claim(t.Context(), cd, "w", 1, lease)
	require.NoError(t, err)
	require.Empty(t, claims)
	depth, _, err := s.QueueDepth(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, depth, "it still waits")

	execute(t, s, "UPDATE task SET available_at = now()")
	require.EqualValues(t, 2, claim(t, s, "w", 1)[0].Attempt)
}

// A worker that lost its claim and took the task again may hear of both attempts at once.
func TestOfTwoAttemptsInOneBatchTheLaterCounts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(1, "cd"))
	first, err := s.Claim(t.Context(), cd, "w", 1, lease)
	require.NoError(t, err)
	execute(t, s, "UPDATE task SET lease_until = now() - interval '1 s'")
	_, err = s.ReclaimExpired(t.Context())
	require.NoError(t, err)
	second, err := s.Claim(t.Context(), cd, "w", 1, lease)
	require.NoError(t, err)
	require.Equal(t, first[0].Attempt+1, second[0].Attempt)
	moved, err := s.Complete(t.Context(), "w", []store.Completion{
		{ID: first[0].ID, Attempt: first[0].Attempt, Status: store.StatusError, Reason: "Stale"},
		{ID: second[0].ID, Attempt: second[0].Attempt, Status: store.StatusSubmitted, WorkflowUID: "uid"},
		{ID: first[0].ID, Attempt: first[0].Attempt, Status: store.StatusError, Reason: "Stale"},
	})
	require.NoError(t, err)
	require.Len(t, moved, 1)
	require.Equal(t, "Submitted", moved[0].Status)
}

// Statistics of a quiet time know of no task that is being submitted: a plan that joins what it
// takes for one row looks at each task of a batch for each other.
func TestABatchIsCompletedByItsIDsWhateverPostgresExpects(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const tasks = 300
	planned(t, s, "b1", given.CdPipelines(2*tasks, "cd"))
	_, err := s.Pool().Exec(t.Context(), "VACUUM ANALYZE task")
	require.NoError(t, err)
	claims, err := s.Claim(t.Context(), cd, "w", tasks, lease)
	require.NoError(t, err)
	ids := make([]int, len(claims))
	for i, claim := range claims {
		ids[i] = int(claim.ID)
	}
	complete := statements(t)[slices.IndexFunc(statements(t), func(one statement) bool { return one.name == "CompleteTasks" })]
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		plan, text := complete.run(t, s, mode, joined(arguments{"ids": array(ids, as("%d")), "worker": "w"},
			of(tasks, "attempts=1", "statuses=Submitted", "reasons=", "messages=", "delays=0 s", "faileds=false", "workflow_uids=uid", "delayed_bys=")))
		require.LessOrEqual(t, plan.removed(), float64(2*tasks), text)
	}
}
