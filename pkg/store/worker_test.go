package store_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func TestWhoseClaimsAreTakenBack(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		silent string // for how long the worker has been; empty is one that is not known
		want   int64
	}{
		"those of a worker that is silent, before their leases run out": {"6 seconds", 1},
		"not those of one that lives":                                   {"3 seconds", 0},
		"not those of an older version, which does not beat":            {"", 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			planned(t, s, "b1", given.CdPipelines(1, "web"))
			claimed := claim(t, s, "first", 1)[0]
			if test.silent != "" {
				require.NoError(t, s.Beat(t.Context(), "first", "replica", store.WorkerState{}))
				execute(t, s, "UPDATE worker SET beat_at = now() - $1::interval", test.silent)
			}
			reclaimed, err := s.ReclaimExpired(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, reclaimed)
			moved, err := s.Complete(t.Context(), "first", []store.Completion{{ID: claimed.ID, Attempt: claimed.Attempt, Status: store.StatusSubmitted}})
			require.NoError(t, err)
			require.Len(t, moved, 1-int(test.want), "a worker whose claims were taken writes nothing")
		})
	}
}

func TestAWorkerThatWasSilentAndGoesOnWritesNothingOfWhatItLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(1, "web"))
	lost := claim(t, s, "first", 1)[0]
	require.NoError(t, s.Beat(t.Context(), "first", "replica", store.WorkerState{}))
	execute(t, s, "UPDATE worker SET beat_at = now() - interval '6 seconds'")
	_, err := s.ReclaimExpired(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Beat(t.Context(), "first", "replica", store.WorkerState{}))
	again := claim(t, s, "first", 1)[0]
	require.Equal(t, lost.ID, again.ID)
	for attempt, want := range map[int32]int{lost.Attempt: 0, again.Attempt: 1} {
		moved, err := s.Complete(t.Context(), "first", []store.Completion{{ID: lost.ID, Attempt: attempt, Status: store.StatusSubmitted}})
		require.NoError(t, err)
		require.Len(t, moved, want, "attempt %d", attempt)
	}
}

func TestARestartedReplicaTakesItsOwnBackAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	before, other := claim(t, s, "before", 2), claim(t, s, "other", 1)
	require.NoError(t, s.Beat(t.Context(), "before", "one", store.WorkerState{}))
	require.NoError(t, s.Beat(t.Context(), "other", "two", store.WorkerState{}))
	require.NoError(t, s.Beat(t.Context(), "after", "one", store.WorkerState{}))
	taken, err := s.TakeOver(t.Context(), "after", "one")
	require.NoError(t, err)
	require.EqualValues(t, 2, taken)
	require.Equal(t, "Submitting", status(t, s, other[0].ID), "another replica's")
	require.Equal(t, []string{"after one", "other two"}, table(t, s, "SELECT name, replica FROM worker ORDER BY name"))
	moved, err := s.Complete(t.Context(), "before", []store.Completion{{ID: before[0].ID, Attempt: before[0].Attempt, Status: store.StatusSubmitted}})
	require.NoError(t, err)
	require.Empty(t, moved)
	require.Len(t, claim(t, s, "after", 2), 2)
	taken, err = s.TakeOver(t.Context(), "after", "one")
	require.NoError(t, err)
	require.Zero(t, taken, "its own")
}

func TestWhatHoldsEventsBackIsNamed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	holder, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	var pid int32
	var xid string
	require.NoError(t, holder.QueryRow(t.Context(), "SELECT pg_backend_pid(), pg_current_xact_id()::xid::text").Scan(&pid, &xid))
	planned(t, s, "b1", given.CdPipelines(1, "web"))
	delay, err := s.EventDelay(t.Context())
	require.NoError(t, err)
	require.Positive(t, delay.Age)
	require.NotEmpty(t, delay.XID)
	if delay.PID == pid { // another test on the server may hold an older one
		require.Equal(t, xid, delay.XID)
		require.Equal(t, "penstock", delay.Application)
	}
	require.NoError(t, holder.Rollback(t.Context()))
	require.Eventually(t, func() bool {
		delay, err := s.EventDelay(t.Context())
		return err == nil && delay.Age == 0
	}, 10*slack, 10*time.Millisecond, "nothing holds them back any more")
}

// requireTakenBackByIndex wants the claims of workers that are gone to be found without
// reading all tasks.
func requireTakenBackByIndex(t *testing.T, s *store.Store) {
	t.Helper()
	for _, file := range []struct{ name, query string }{{"task", "ReclaimExpired"}, {"worker", "TakeOver"}} {
		text, err := os.ReadFile("queries/" + file.name + ".sql")
		require.NoError(t, err)
		_, query, found := strings.Cut(string(text), "-- name: "+file.query+" :execrows\n")
		require.True(t, found)
		query, _, _ = strings.Cut(query, ";")
		query = strings.NewReplacer("@silence", "'5 s'", "@name", "'w'", "@replica", "'r'").Replace(query)
		require.NotRegexp(t, scansAllTasks, strings.Join(table(t, s, "EXPLAIN "+query), "\n"), file.query)
	}
}
