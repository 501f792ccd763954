package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func claimEnding(t *testing.T, s *store.Store) []store.Claim {
	t.Helper()
	claims, err := s.ClaimEnding(t.Context(), cd, "w", 10, lease)
	require.NoError(t, err)
	return claims
}

// Each pipeline's task was claimed once and given back, for an hour.
func TestOnlyWhatIsToBeEndedOrHeldIsClaimedToBeEnded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("cancelled"), given.CdPipeline("held"), given.CdPipeline("suspended"), given.CdPipeline("waits"))
	planned(t, s, "b1", family)
	planned(t, s, "b2", given.FamilyOf(given.CdPipeline("untried")))
	for _, row := range claim(t, s, "w", 4) {
		complete(t, s, row, store.StatusPending)
	}
	require.Empty(t, claimEnding(t, s))

	execute(t, s, "UPDATE task SET stop_reason = 'Cancelled', available_at = '-infinity', delayed_by = '' WHERE owner_name = 'cancelled'")
	hold := trigger.Hold{Reason: v1alpha1.ReasonHold, Message: "wait"}
	require.NoError(t, s.Reconsider(t.Context(), store.PipelineRef{UID: string(given.UID("held")), Namespace: given.Namespace, Name: "held"}, hold,
		func(store.Held) trigger.Hold { return hold }))
	_, err := s.CancelWaiting(t.Context(), string(given.UID("suspended")), v1alpha1.ReasonSuspended, "spec.suspend is true")
	require.NoError(t, err)
	var claimed []string
	for _, row := range claimEnding(t, s) {
		require.True(t, row.Ending)
		require.EqualValues(t, 2, row.Attempt)
		claimed = append(claimed, row.Owner.Name+" "+string(row.StopReason))
	}
	require.ElementsMatch(t, []string{"cancelled Cancelled", "held ", "suspended "}, claimed)
	require.Empty(t, claimEnding(t, s), "the lease holds")
}

// Somebody has changed their mind: nothing is to be ended any more.
func TestWhatIsGivenBackAfterAllIsInTheQueueAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("web")))
	complete(t, s, claim(t, s, "w", 1)[0], store.StatusPending)
	_, err := s.CancelWaiting(t.Context(), string(given.UID("web")), v1alpha1.ReasonSuspended, "spec.suspend is true")
	require.NoError(t, err)
	row := claimEnding(t, s)[0]
	_, err = s.Complete(t.Context(), "w", []store.Completion{{ID: row.ID, Attempt: row.Attempt, Status: store.StatusPending}})
	require.NoError(t, err)
	require.Empty(t, claimEnding(t, s))
	require.Len(t, claim(t, s, "w", 1), 1)
}

func TestWhatIsToBeEndedIsFoundByItsIndexInALongQueue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	fillQueue(t, s)
	execute(t, s, "ANALYZE task")
	query := strings.NewReplacer("@kind", "'cd'", "@cluster_uid", "''", "@cluster", "''", "@namespaces", "'{}'", "@most", "50", "@worker", "'w'", "@lease", "'30 s'").Replace(queryOf(t, "ClaimEnding"))
	plan := strings.Join(table(t, s, "EXPLAIN "+query), "\n")
	require.Contains(t, plan, "task_ending")
	require.NotRegexp(t, scansAllTasks, plan)
	began := time.Now()
	require.Empty(t, claimEnding(t, s))
	require.Less(t, time.Since(began), claimBound)
}

// As where the right to read Workflows is missing in its namespace.
func TestOneThatCannotBeEndedKeepsNoOtherFromIt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b")))
	for _, row := range claim(t, s, "w", 2) {
		complete(t, s, row, store.StatusPending)
	}
	execute(t, s, "UPDATE task SET stop_reason = 'Cancelled', available_at = '-infinity', delayed_by = ''")
	var claimed []string
	for range 2 {
		claims, err := s.ClaimEnding(t.Context(), cd, "w", 1, lease)
		require.NoError(t, err)
		require.Len(t, claims, 1)
		claimed = append(claimed, claims[0].Owner.Name)
		_, err = s.Complete(t.Context(), "w", []store.Completion{{
			ID: claims[0].ID, Attempt: claims[0].Attempt, Status: store.StatusPending, Failed: true, Delay: 5 * time.Hour,
		}})
		require.NoError(t, err)
	}
	require.ElementsMatch(t, []string{"a", "b"}, claimed)
}
