package dispatch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/pkg/store"
)

// workers is the table of workers in memory.
type workers struct {
	mu     sync.Mutex
	broken bool
	beats  int
	took   []string
	name   string
}

func (w *workers) Beat(_ context.Context, name, _ string, _ store.WorkerState) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return errors.New("database is down")
	}
	w.beats++
	w.name = name
	return nil
}

func (w *workers) TakeOver(_ context.Context, _, replica string) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took = append(w.took, replica)
	return 1, nil
}

func (w *workers) breaks(broken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = broken
}

func (w *workers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.beats
}

func beating(w *workers) func(*dispatch.Config) {
	return func(c *dispatch.Config) { c.Worker = dispatch.NewWorker(w, "replica", logr.Discard()) }
}

func TestAWorkerBeatsWhileADispatcherRunsAndTakesOverOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, q := &workers{}, newQueue(3)
		r := start(t, q, newSubmitter(takes(time.Millisecond)), beating(w))
		sleep(10*time.Second + 500*time.Millisecond)
		require.Equal(t, 11, w.count())
		require.Equal(t, []string{"replica"}, w.took)
		require.Equal(t, 3, q.count(store.StatusSubmitted))
		require.Equal(t, w.name, q.read(1).claimedBy)
		r.stop(t)
		sleep(time.Minute)
		require.Equal(t, 11, w.count())
	})
}

func TestNothingIsClaimedBeforeTheDatabaseHasHeardOfTheWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, q := &workers{broken: true}, newQueue(3)
		start(t, q, newSubmitter(takes(time.Millisecond)), beating(w))
		sleep(time.Minute)
		require.Zero(t, q.claimed())
		w.breaks(false)
		sleep(5 * time.Second)
		require.Equal(t, 3, q.count(store.StatusSubmitted))
	})
}

func TestAWorkerThatIsNotHeardStopsSubmittingBeforeOthersTakeItsClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, q := &workers{}, newQueue(10)
		began := time.Now()
		var ends []time.Duration
		var mu sync.Mutex
		s := newSubmitter(func(ctx context.Context, _ store.Claim) error {
			err := wait(ctx, 12*time.Second)
			mu.Lock()
			defer mu.Unlock()
			ends = append(ends, time.Since(began))
			return err
		})
		start(t, q, s, beating(w))
		sleep(2*time.Second + 100*time.Millisecond)
		require.Len(t, s.callsOf(1), 1)
		w.breaks(true) // it was heard last after 2 s
		sleep(4 * time.Second)
		require.Equal(t, 5, s.allCalls(), "none begins any more")
		mu.Lock()
		require.Len(t, ends, 5)
		for _, end := range ends {
			require.Less(t, end, 2*time.Second+store.WorkerSilence, "others may submit it by now")
		}
		mu.Unlock()
		w.breaks(false)
		sleep(time.Minute)
		require.Equal(t, 10, q.count(store.StatusSubmitted))
		require.Zero(t, q.read(1).completion.Delay, "it is no failure of the task")
	})
}

func TestAWorkerBeatsWhileSubmissionsFinishAtShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, q := &workers{}, newQueue(1)
		r := start(t, q, newSubmitter(takes(8*time.Second)), beating(w))
		sleep(time.Second)
		r.stop(t)
		require.Equal(t, store.StatusSubmitted, q.read(1).status)
	})
}
