package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

var (
	states = []store.Status{
		store.StatusPending, store.StatusSubmitting, store.StatusSubmitted, store.StatusRunning,
		store.StatusSucceeded, store.StatusFailed, store.StatusError, store.StatusCancelled, store.StatusSuperseded,
	}
	ends = []store.Status{
		store.StatusSucceeded, store.StatusFailed, store.StatusError, store.StatusCancelled, store.StatusSuperseded,
	}
	// workflowStates are what a Workflow can be in.
	workflowStates = []store.Status{
		store.StatusSubmitted, store.StatusRunning, store.StatusSucceeded, store.StatusFailed, store.StatusError, store.StatusCancelled,
	}
)

// progress is how far a state is: the machine only ever moves up.
func progress(state store.Status) int {
	switch {
	case slices.Contains(ends, state):
		return 3
	case state == store.StatusRunning:
		return 2
	case state == store.StatusSubmitted:
		return 1
	default:
		return 0
	}
}

// observed is the model of an observation: where a row ends up.
func observed(from, seen store.Status) store.Status {
	if slices.Contains(workflowStates, seen) && progress(seen) > progress(from) {
		return seen
	}
	return from
}

// lost is the model of a Workflow that is gone.
func lost(from store.Status) store.Status {
	if from == store.StatusSubmitted || from == store.StatusRunning {
		return store.StatusError
	}
	return from
}

// inState puts rows, one for each name, into a state.
func inState(t *testing.T, s *store.Store, build string, n int, state store.Status) []store.Claim {
	t.Helper()
	planned(t, s, build, given.CdPipelines(n, "web"))
	claims := claim(t, s, "w", n)
	for _, c := range claims {
		execute(t, s, `UPDATE cd_workflow_runner SET status = $2, message = 'before',
			submitted_at = CASE WHEN $3 > 0 THEN now() - interval '2 h' END, started_at = CASE WHEN $3 > 1 THEN now() - interval '1 h' END,
			finished_at = CASE WHEN $3 > 2 THEN now() - interval '1 min' END WHERE id = $1`, c.ID, state, progress(state))
	}
	return claims
}

func TestRowsFollowTheirWorkflowsForwardOnly(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, from := range states {
		seen := append(slices.Clone(states), "Nonsense", "")
		claims := inState(t, s, string(from), len(seen), from)
		observations := make([]store.Observation, len(seen))
		for i := range seen {
			observations[i] = store.Observation{
				ID: claims[i].ID, Namespace: claims[i].Namespace, Owner: claims[i].PipelineUID, WorkflowName: claims[i].WorkflowName, Status: seen[i], Reason: "r", Message: "after",
			}
		}
		moved, err := s.Observe(t.Context(), observations)
		require.NoError(t, err)
		for i := range seen {
			sentence := fmt.Sprintf("a %s row whose Workflow is %q", from, seen[i])
			want := observed(from, seen[i])
			requireState(t, s, claims[i].ID, from, want, sentence)
			told := slices.ContainsFunc(moved, func(m store.Moved) bool { return m.ID == claims[i].ID && m.Status == string(want) })
			require.Equal(t, want != from, told, sentence)
		}
		again, err := s.Observe(t.Context(), observations)
		require.NoError(t, err)
		require.Empty(t, again, "the same news twice")
		execute(t, s, "UPDATE cd_workflow_runner SET status = 'Superseded' WHERE status = 'Pending'")
	}
}

// requireState checks the state, and that the times tell the same story.
func requireState(t *testing.T, s *store.Store, id int64, from, want store.Status, sentence string) {
	t.Helper()
	message := "before"
	if from != want {
		message = "after"
	}
	// A row knows that its Workflow existed or started when it saw that, or what comes later.
	saw := func(least int) bool { return progress(want) >= least }
	require.Equal(t, []string{fmt.Sprint(want, message, saw(1), saw(2), saw(3))}, table(t, s,
		`SELECT status || message || (submitted_at IS NOT NULL) || ' ' || (started_at IS NOT NULL) || ' ' || (finished_at IS NOT NULL)
		 FROM cd_workflow_runner WHERE id = $1`, id), sentence)
}

func TestTheTimeOfAStartIsKept(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	row := inState(t, s, "b1", 1, store.StatusRunning)[0]
	_, err := s.Observe(t.Context(), []store.Observation{{ID: row.ID, Namespace: row.Namespace, Owner: row.PipelineUID, WorkflowName: row.WorkflowName, Status: store.StatusSucceeded}})
	require.NoError(t, err)
	require.Equal(t, 1, count(t, s, `cd_workflow_runner WHERE started_at < now() - interval '50 min'
		AND submitted_at < started_at AND finished_at = changed_at`))
}

func TestAWorkflowThatIsGoneEndsItsRow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, from := range states {
		row := inState(t, s, string(from), 1, from)[0]
		gone := []store.Observation{{ID: row.ID, Namespace: row.Namespace, Owner: row.PipelineUID, WorkflowName: row.WorkflowName, Gone: true, Reason: "WorkflowDeleted", Message: "gone"}}
		moved, err := s.Observe(t.Context(), gone)
		require.NoError(t, err)
		require.Equal(t, string(lost(from)), status(t, s, row.ID), from)
		require.Equal(t, lost(from) != from, len(moved) == 1, from)
		execute(t, s, "UPDATE cd_workflow_runner SET status = 'Superseded' WHERE status = 'Pending'")
	}
	require.Equal(t, 2, count(t, s, "cd_workflow_runner WHERE status = 'Error' AND reason = 'WorkflowDeleted' AND message = 'gone' AND finished_at = changed_at"))
}

func TestAnotherWorkflowThatNamesTheRowMovesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	row := inState(t, s, "b1", 1, store.StatusSubmitted)[0]
	own := store.Observation{ID: row.ID, Namespace: row.Namespace, Owner: row.PipelineUID, WorkflowName: row.WorkflowName, Status: store.StatusSucceeded}
	another := func(change func(*store.Observation)) store.Observation {
		observation := own
		change(&observation)
		return observation
	}
	for _, observation := range []store.Observation{
		another(func(o *store.Observation) { o.WorkflowName = "not-" + row.WorkflowName }),
		another(func(o *store.Observation) { o.WorkflowName, o.Gone = "not-"+row.WorkflowName, true }),
		another(func(o *store.Observation) { o.ID++ }),
		another(func(o *store.Observation) { o.Namespace = "a-copy" }),
		another(func(o *store.Observation) { o.Namespace, o.Gone = "a-copy", true }),
		another(func(o *store.Observation) { o.Owner = "nobody" }),
		another(func(o *store.Observation) { o.Owner, o.Gone = "nobody", true }),
		another(func(o *store.Observation) { o.Owner = "\x00" }), // which the API server takes
		another(func(o *store.Observation) { o.Owner, o.Gone = "\x00", true }),
	} {
		moved, err := s.Observe(t.Context(), []store.Observation{observation})
		require.NoError(t, err)
		require.Empty(t, moved)
	}
	require.Equal(t, "Submitted", status(t, s, row.ID))
}

func TestNothingObservedIsNoError(t *testing.T) {
	t.Parallel()
	moved, err := newStore(t).Observe(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, moved)
}
