package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

var (
	states = []store.Status{
		store.StatusHeld, store.StatusPending, store.StatusSubmitting, store.StatusSubmitted, store.StatusRunning,
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

// observed is the model of an observation: where a task ends up. A task that is held was
// never claimed, and so has no Workflow.
func observed(from, seen store.Status) store.Status {
	if from != store.StatusHeld && slices.Contains(workflowStates, seen) && progress(seen) > progress(from) {
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

// inState puts tasks, one for each name, into a state.
func inState(t *testing.T, s *store.Store, build string, n int, state store.Status) []store.Claim {
	t.Helper()
	planned(t, s, build, given.CdPipelines(n, "web", unordered))
	claims := claim(t, s, "w", n)
	for _, c := range claims {
		execute(t, s, `UPDATE task SET status = $2, message = 'before',
			submitted_at = CASE WHEN $3 > 0 THEN now() - interval '2 h' END, started_at = CASE WHEN $3 > 1 THEN now() - interval '1 h' END,
			finished_at = CASE WHEN $3 > 2 THEN now() - interval '1 min' END WHERE id = $1`, c.ID, state, progress(state))
	}
	return claims
}

func TestTasksFollowTheirWorkflowsForwardOnly(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, from := range states {
		phases := append(slices.Clone(states), "Nonsense", "")
		claims := inState(t, s, string(from), len(phases), from)
		observations := make([]store.Observation, len(phases))
		for i := range phases {
			observations[i] = seen(claims[i], phases[i])
			observations[i].Reason, observations[i].Message = "r", "after"
		}
		moved, err := s.Observe(t.Context(), observations)
		require.NoError(t, err)
		for i := range phases {
			sentence := fmt.Sprintf("a %s task whose Workflow is %q", from, phases[i])
			want := observed(from, phases[i])
			requireState(t, s, claims[i].ID, from, want, sentence)
			told := slices.ContainsFunc(moved, func(m store.Moved) bool { return m.ID == claims[i].ID && m.Status == string(want) })
			require.Equal(t, want != from, told, sentence)
		}
		again, err := s.Observe(t.Context(), observations)
		require.NoError(t, err)
		require.Empty(t, again, "the same news twice")
		execute(t, s, "UPDATE task SET status = 'Superseded' WHERE status = 'Pending'")
	}
}

// requireState checks the state, and that the times tell the same story.
func requireState(t *testing.T, s *store.Store, id int64, from, want store.Status, sentence string) {
	t.Helper()
	message := "before"
	if from != want {
		message = "after"
	}
	// A task knows that its Workflow existed or started when it saw that, or what comes later.
	saw := func(least int) bool { return progress(want) >= least }
	require.Equal(t, []string{fmt.Sprint(want, message, saw(1), saw(2), saw(3), from != want)}, table(t, s,
		`SELECT status || message || (submitted_at IS NOT NULL) || ' ' || (started_at IS NOT NULL) || ' ' || (finished_at IS NOT NULL)
		 || ' ' || (workflow_uid <> '') FROM task WHERE id = $1`, id), sentence)
}

func TestTheTimeOfAStartIsKept(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	row := inState(t, s, "b1", 1, store.StatusRunning)[0]
	observe(t, s, row, store.StatusSucceeded)
	require.Equal(t, 1, count(t, s, `task WHERE started_at < now() - interval '50 min'
		AND submitted_at < started_at AND finished_at = changed_at`))
}

func TestAWorkflowThatIsGoneEndsItsTask(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, from := range states {
		row := inState(t, s, string(from), 1, from)[0]
		gone := []store.Observation{{Gone: row.ID, Reason: "WorkflowDeleted", Message: "gone"}}
		moved, err := s.Observe(t.Context(), gone)
		require.NoError(t, err)
		require.Equal(t, string(lost(from)), status(t, s, row.ID), from)
		require.Equal(t, lost(from) != from, len(moved) == 1, from)
		execute(t, s, "UPDATE task SET status = 'Superseded' WHERE status = 'Pending'")
	}
	require.Equal(t, 2, count(t, s, "task WHERE status = 'Error' AND reason = 'WorkflowDeleted' AND message = 'gone' AND finished_at = changed_at"))
}

func TestAnotherWorkflowMovesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for sentence, tc := range map[string]struct {
		knows  bool // whether the task knows the UID of its Workflow
		change func(*store.Observation)
		moves  bool
	}{
		"the Workflow itself, seen for the first time":         {false, func(*store.Observation) {}, true},
		"the Workflow itself, whose UID is known":              {true, func(*store.Observation) {}, true},
		"its own, of which somebody took the label":            {true, func(o *store.Observation) { o.Identity = "" }, true},
		"one of another name":                                  {false, func(o *store.Observation) { o.WorkflowName = "not-" + o.WorkflowName }, false},
		"one of another name that has copied the UID":          {true, func(o *store.Observation) { o.WorkflowName = "not-" + o.WorkflowName }, false},
		"one in another namespace":                             {false, func(o *store.Observation) { o.Namespace = "a-copy" }, false},
		"one in another namespace, with the UID":               {true, func(o *store.Observation) { o.Namespace = "a-copy" }, false},
		"one of the name whose identity is another's":          {false, func(o *store.Observation) { o.Identity = "nobody" }, false},
		"one of the name without an identity":                  {false, func(o *store.Observation) { o.Identity = "" }, false},
		"one of the name with an identity no table can hold":   {false, func(o *store.Observation) { o.Identity = "\x00" }, false}, // which the API server takes
		"one of the name and the identity, made anew":          {true, func(o *store.Observation) { o.WorkflowUID = "another" }, false},
		"one that somebody made, without UID, of a known task": {true, func(o *store.Observation) { o.WorkflowUID = "" }, false},
	} {
		row := inState(t, s, sentence, 1, store.StatusSubmitted)[0]
		if tc.knows {
			execute(t, s, "UPDATE task SET workflow_uid = $2 WHERE id = $1", row.ID, workflowUID(row))
		}
		observation := seen(row, store.StatusSucceeded)
		tc.change(&observation)
		moved, err := s.Observe(t.Context(), []store.Observation{observation})
		require.NoError(t, err, sentence)
		require.Equal(t, tc.moves, len(moved) == 1, sentence)
		require.Equal(t, tc.moves, status(t, s, row.ID) == "Succeeded", sentence)
	}
}

func TestAWorkflowThatIsMadeAnewUnderItsNameIsNotTakenForTheFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(1, "web"))
	row := claim(t, s, "w", 1)[0]
	_, err := s.Complete(t.Context(), "w", []store.Completion{{ID: row.ID, Attempt: 1, Status: store.StatusSubmitted, WorkflowUID: "first"}})
	require.NoError(t, err)
	again := seen(row, store.StatusFailed)
	again.WorkflowUID = "second"
	moved, err := s.Observe(t.Context(), []store.Observation{again})
	require.NoError(t, err)
	require.Empty(t, moved)
	first := seen(row, store.StatusSucceeded)
	first.WorkflowUID = "first"
	moved, err = s.Observe(t.Context(), []store.Observation{first})
	require.NoError(t, err)
	require.Len(t, moved, 1)
}

func TestWorkflowsAreToldByWhatBecameOfTheirTasks(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var all []types.NamespacedName
	var open, orphans []string
	for _, state := range states {
		for _, had := range []bool{false, true} {
			row := inState(t, s, fmt.Sprint(state, had), 1, state)[0]
			execute(t, s, "UPDATE task SET submitted_at = CASE WHEN $2 THEN now() END WHERE id = $1", row.ID, had)
			all = append(all, types.NamespacedName{Namespace: row.Namespace, Name: row.WorkflowName})
			switch {
			case !state.HasEnded():
				open = append(open, row.WorkflowName)
			default:
				orphans = append(orphans, fmt.Sprint(row.WorkflowName, " ", state, " ", had))
			}
			execute(t, s, "UPDATE task SET priority = -1 WHERE id = $1", row.ID) // out of the way of the next claim
		}
	}
	all = append(all, types.NamespacedName{Namespace: "another", Name: all[0].Name}, types.NamespacedName{Namespace: given.Namespace, Name: "unknown"})
	found, err := s.Open(t.Context(), all)
	require.NoError(t, err)
	var names []string
	for _, one := range found {
		names = append(names, one.Name)
	}
	require.ElementsMatch(t, open, names)
	lost, err := s.Orphans(t.Context(), all)
	require.NoError(t, err)
	names = nil
	for _, one := range lost {
		names = append(names, fmt.Sprint(one.WorkflowName, " ", one.Status, " ", one.HadWorkflow))
	}
	require.ElementsMatch(t, orphans, names)
}

func TestNothingObservedIsNoError(t *testing.T) {
	t.Parallel()
	moved, err := newStore(t).Observe(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, moved)
}

func TestATaskThatSomebodyHoldsLockedKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	claims := claim(t, s, "w", 3)
	var all []store.Observation
	for _, claim := range claims {
		all = append(all, seen(claim, store.StatusRunning))
	}
	holder, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), "SELECT FROM task WHERE id = $1 FOR UPDATE", claims[1].ID)
	require.NoError(t, err)

	moved, err := s.Observe(t.Context(), all)
	var busy *store.BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, []types.NamespacedName{{Namespace: claims[1].Namespace, Name: claims[1].WorkflowName}}, busy.Workflows)
	require.Len(t, moved, 2)

	require.NoError(t, holder.Rollback(t.Context()))
	moved, err = s.Observe(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, moved, 1)
	require.Equal(t, claims[1].ID, moved[0].ID)
}
