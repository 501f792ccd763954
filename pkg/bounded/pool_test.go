package bounded_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// ledger is a Done that remembers what it was told.
type ledger struct {
	mu    sync.Mutex
	ends  []int
	errs  map[int]error
	calls map[int]int
}

func (l *ledger) done(task int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.errs == nil {
		l.errs, l.calls = map[int]error{}, map[int]int{}
	}
	l.ends = append(l.ends, task)
	l.errs[task] = err
	l.calls[task]++
}

// sleeper runs tasks that take as many seconds as their number says, and obey their context.
func sleeper(ctx context.Context, seconds int) error {
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func newPool(limit int, run func(context.Context, int) error) (*bounded.Pool[int], *ledger) {
	l := &ledger{}
	return bounded.NewPool(bounded.Config[int]{Limit: limit, Run: run, Done: l.done}), l
}

func TestPoolWithoutRunOrDoneIsAMistake(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { bounded.NewPool(bounded.Config[int]{}) })
}

func TestPoolLimitBelowOneMeansOne(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 0, -7} {
		pool, _ := newPool(n, sleeper)
		require.Equal(t, 1, pool.Limit())
		pool.SetLimit(3)
		require.Equal(t, 3, pool.Free())
		pool.SetLimit(n)
		require.Equal(t, 1, pool.Limit())
	}
}

func TestPoolFillsAFreeSlotAtOnceWithoutABatchBarrier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, ledger := newPool(2, sleeper)
		begin := time.Now()
		for _, seconds := range []int{10, 1, 2, 3, 4} {
			require.NoError(t, pool.Go(t.Context(), seconds))
		}
		pool.Wait()
		// A barrier of two would need 10 + 3 + 4 seconds.
		require.Equal(t, 10*time.Second, time.Since(begin))
		require.Equal(t, 2, pool.Peak())
		require.Len(t, ledger.ends, 5)
	})
}

func TestPoolStartsWaitingTasksInTheOrderOfTheCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var started []int
		pool, _ := newPool(1, func(ctx context.Context, task int) error {
			started = append(started, task) // one at a time
			return sleeper(ctx, 1)
		})
		for task := range 20 {
			go func() { _ = pool.Go(t.Context(), task) }()
			synctest.Wait()
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for task := range 20 {
			require.Equal(t, task, started[task])
		}
	})
}

func TestPoolRaisingTheLimitStartsWaitingTasksAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, _ := newPool(1, sleeper)
		for range 5 {
			go func() { _ = pool.Go(t.Context(), 10) }()
		}
		synctest.Wait()
		require.Equal(t, 1, pool.InFlight())
		pool.SetLimit(4)
		require.Equal(t, 4, pool.InFlight())
		require.Equal(t, 0, pool.Free())
		pool.Wait()
		require.Equal(t, 4, pool.Free())
	})
}

func TestPoolLoweringTheLimitLetsRunningTasksEndAndStartsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, ledger := newPool(4, sleeper)
		for seconds := range 4 {
			require.NoError(t, pool.Go(t.Context(), seconds+1))
		}
		pool.SetLimit(2)
		require.Equal(t, 4, pool.InFlight())
		require.Equal(t, 0, pool.Free())

		begin := time.Now()
		require.NoError(t, pool.Go(t.Context(), 5))
		require.Equal(t, 3*time.Second, time.Since(begin), "the third slot is the first below the new limit")
		pool.Wait()
		require.Equal(t, []int{1, 2, 3, 4, 5}, ledger.ends)
	})
}

func TestPoolCancellingGoWhileItWaitsGivesItsPlaceUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, ledger := newPool(1, sleeper)
		require.NoError(t, pool.Go(t.Context(), 60))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		require.ErrorIs(t, pool.Go(ctx, 7), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		require.NoError(t, pool.Go(t.Context(), 1), "the next in the line is served")
		pool.Wait()
		require.Equal(t, []int{60, 1}, ledger.ends, "a task that was not started is never done")
	})
}

func TestPoolGoWithAnEndedContextStartsNothing(t *testing.T) {
	t.Parallel()
	pool, ledger := newPool(1, sleeper)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, pool.Go(ctx, 0), context.Canceled)
	pool.Wait()
	require.Empty(t, ledger.ends)
}

func TestPoolCancellingTheFeederDoesNotAbortWhatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, ledger := newPool(1, sleeper)
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, pool.Go(ctx, 1))
		cancel()
		pool.Wait()
		require.NoError(t, ledger.errs[1])
	})
}

func TestPoolFreedTellsWhenASlotIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, _ := newPool(1, sleeper)
		require.NoError(t, pool.Go(t.Context(), 3))
		begin := time.Now()
		<-pool.Freed()
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.Equal(t, 1, pool.Free())

		require.NoError(t, pool.Go(t.Context(), 60))
		pool.SetLimit(2)
		<-pool.Freed()
		require.Equal(t, 1, pool.Free(), "a raised limit is a free slot too")
		pool.Wait()
	})
}
