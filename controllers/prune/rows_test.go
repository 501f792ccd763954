package prune

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
)

const age = 24 * time.Hour

// pages is a history in memory: how many full pages each part has that are old.
type pages struct {
	old   map[store.History]int
	took  time.Duration
	err   error
	calls []time.Duration // when each page was asked for, since the first
	parts []store.History
	began time.Time
}

func (p *pages) Prune(ctx context.Context, part store.History, after int64, _ time.Duration) (store.PrunedPage, error) {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	p.calls, p.parts = append(p.calls, time.Since(p.began)), append(p.parts, part)
	pause.For(ctx, p.took)
	if p.err != nil {
		return store.PrunedPage{}, p.err
	}
	p.old[part]--
	if p.old[part] < 0 {
		return store.PrunedPage{Last: after}, nil
	}
	return store.PrunedPage{Last: after + 1000, Deleted: 1000, More: true}, nil
}

// run starts the loop for a time.
func run(t *testing.T, history *pages, retention, length time.Duration) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	require.NoError(t, NewRows(RowsConfig{History: history, Retention: retention, Log: logr.Discard()}).Start(ctx))
}

func TestEveryPartIsPrunedInTheOrderInWhichTheyReferToEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		history := &pages{old: map[store.History]int{}}
		run(t, history, age, time.Minute)
		require.Equal(t, store.Histories(), history.parts)
	})
}

func TestTheDatabaseIsLeftToOthersForThreeQuartersOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		history := &pages{old: map[store.History]int{store.HistoryEvents: 3}, took: time.Second}
		run(t, history, age, time.Minute)
		require.Equal(t, []time.Duration{0, 4 * time.Second, 8 * time.Second, 12 * time.Second}, history.calls[:4])
	})
}

func TestARetentionOfZeroKeepsAllUntilItIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		history := &pages{old: map[store.History]int{}}
		rows := NewRows(RowsConfig{History: history, Log: logr.Discard()})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- rows.Start(ctx) }()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		require.NotEmpty(t, history.parts)
		for _, part := range history.parts {
			require.Equal(t, store.HistoryDeliveries, part, "what was received has an age of its own")
		}
		history.parts = nil
		rows.SetRetention(age)
		synctest.Wait()
		require.Equal(t, store.Histories(), history.parts)
		stop()
		require.NoError(t, <-ended)
	})
}

func TestWhatFailsIsTriedAgainAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		history := &pages{err: errors.New("the database is away")}
		run(t, history, age, 2*time.Minute+30*time.Second)
		require.GreaterOrEqual(t, len(history.calls), 2)
		require.GreaterOrEqual(t, history.calls[1], time.Minute)
	})
}
