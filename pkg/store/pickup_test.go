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

// submitted are the names of the Workflows that have not begun for a minute, and whether
// that was noted.
func submitted(t *testing.T, s *store.Store) (lines []string) {
	t.Helper()
	for after := int64(0); ; {
		page, err := s.Submitted(t.Context(), time.Minute, after, 2)
		require.NoError(t, err)
		for _, task := range page {
			lines = append(lines, fmt.Sprint(task.WorkflowName, " ", task.NotTakenUp))
			after = task.ID
		}
		if len(page) < 2 {
			return lines
		}
	}
}

func TestAWorkflowThatNobodyTakesUpIsNotedUntilSomebodyDoes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(5, "web", unordered))
	claims := claim(t, s, "w", 5)
	for i, status := range []store.Status{store.StatusSubmitted, store.StatusSubmitted, store.StatusSubmitted, store.StatusRunning} {
		observe(t, s, claims[i], status)
	}
	execute(t, s, "UPDATE task SET submitted_at = now() - interval '2 min' WHERE id <> $1", claims[2].ID)
	old, other := claims[0].WorkflowName, claims[1].WorkflowName
	require.Equal(t, []string{old + " false", other + " false"}, submitted(t, s), "not one that is young, runs, or is on its way")

	was := table(t, s, "SELECT changed_at FROM task WHERE id = $1", claims[0].ID)
	note := []store.Pickup{{ID: claims[0].ID, Reason: v1alpha1.ReasonNotTakenUp, Message: "nobody"}, {ID: claims[3].ID, Reason: v1alpha1.ReasonNotTakenUp}}
	moved, err := s.MarkPickup(t.Context(), note)
	require.NoError(t, err)
	require.Len(t, moved, 1, "that which runs was taken up")
	require.Equal(t, old, moved[0].WorkflowName)
	again, err := s.MarkPickup(t.Context(), note)
	require.NoError(t, err)
	require.Empty(t, again)
	require.Equal(t, []string{old + " true", other + " false"}, submitted(t, s))
	require.Equal(t, []string{"Submitted NotTakenUp nobody"}, table(t, s, "SELECT state, reason, message FROM event WHERE task_id = $1 ORDER BY id DESC LIMIT 1", claims[0].ID))
	require.Equal(t, was, table(t, s, "SELECT changed_at FROM task WHERE id = $1", claims[0].ID), "since when it waits")
	summaries, err := s.Summaries(t.Context(), []string{string(given.UID("b1"))})
	require.NoError(t, err)
	require.Equal(t, []store.HeldCount{{Reason: v1alpha1.ReasonNotTakenUp, Count: 1, Examples: []string{moved[0].Pipeline}}}, summaries[string(given.UID("b1"))].Held)

	_, err = s.MarkPickup(t.Context(), []store.Pickup{{ID: claims[0].ID}})
	require.NoError(t, err)
	require.Equal(t, []string{old + " false", other + " false"}, submitted(t, s))
	_, err = s.MarkPickup(t.Context(), note[:1])
	require.NoError(t, err)
	observe(t, s, claims[0], store.StatusRunning)
	require.Equal(t, []string{"Running  "}, table(t, s, "SELECT status, reason, message FROM task WHERE id = $1", claims[0].ID))
}
