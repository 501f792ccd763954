package bounded_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

func TestPoolShutdownWaitsForRunningTasksAndRefusesOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, ledger := newPool(1, sleeper)
		require.NoError(t, pool.Go(t.Context(), 5))
		waiting := make(chan error, 1)
		go func() { waiting <- pool.Go(t.Context(), 1) }()
		synctest.Wait()

		begin := time.Now()
		require.NoError(t, pool.Shutdown(t.Context()))
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.ErrorIs(t, <-waiting, bounded.ErrClosed)
		require.ErrorIs(t, pool.Go(t.Context(), 1), bounded.ErrClosed)
		require.Equal(t, []int{5}, ledger.ends)
		require.NoError(t, pool.Shutdown(t.Context()), "twice is allowed")
	})
}

func TestPoolShutdownEndsTheContextsOfTasksWhenItsTimeHasPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool, ledger := newPool(3, sleeper)
		for range 3 {
			require.NoError(t, pool.Go(t.Context(), 60))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		err := pool.Shutdown(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "3 tasks still in flight")
		pool.Wait()
		require.Equal(t, 10*time.Second, time.Since(begin))
		require.ErrorIs(t, ledger.errs[60], bounded.ErrClosed)
	})
}

func TestPoolShutdownOfAnIdlePoolSucceedsWithoutAnyTime(t *testing.T) {
	t.Parallel()
	pool, _ := newPool(3, sleeper)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, pool.Shutdown(ctx))
}
