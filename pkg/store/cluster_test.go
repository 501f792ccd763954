package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

func TestTheHistoryOfAClusterHasEachChangeOnceInOrder(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	event := func(uid, phase, reason string, minute int) store.ClusterEvent {
		return store.ClusterEvent{UID: uid, Cluster: "eu", Phase: phase, Reason: reason, Message: "a\x00b", At: at.Add(time.Duration(minute) * time.Minute)}
	}
	first := []store.ClusterEvent{event("1", "Healthy", "Healthy", 0), event("1", "Unreachable", "DNS", 1), event("1", "Unreachable", "DNS", 2)}
	require.NoError(t, s.RecordClusterEvents(t.Context(), first))
	require.NoError(t, s.RecordClusterEvents(t.Context(), first[1:]), "the last one is known")
	require.NoError(t, s.RecordClusterEvents(t.Context(), []store.ClusterEvent{
		event("2", "Healthy", "Healthy", 3), event("1", "Healthy", "Healthy", 4),
	}))
	require.NoError(t, s.RecordClusterEvents(t.Context(), nil))
	history := func(before int64, most int) (lines []string) {
		rows, err := s.ClusterEvents(t.Context(), "eu", before, most)
		require.NoError(t, err)
		for _, row := range rows {
			lines = append(lines, row.UID+" "+row.Phase+" "+row.At.Format("15:04"))
		}
		return lines
	}
	all := []string{"1 Healthy 00:04", "2 Healthy 00:03", "1 Unreachable 00:01", "1 Healthy 00:00"}
	require.Equal(t, all, history(0, 10))
	page, err := s.ClusterEvents(t.Context(), "eu", 0, 2)
	require.NoError(t, err)
	require.Equal(t, all[2:], history(page[1].ID, 2))
	require.NotContains(t, page[0].Message, "\x00")
	none, err := s.ClusterEvents(t.Context(), "us", 0, 2)
	require.NoError(t, err)
	require.Empty(t, none)
}
