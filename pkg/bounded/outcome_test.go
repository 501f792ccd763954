package bounded_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

func TestPoolTellsDoneHowATaskEnded(t *testing.T) {
	t.Parallel()
	failure := errors.New("no such template")
	cases := map[string]struct {
		run  func(context.Context, int) error
		want func(*testing.T, error)
	}{
		"a task that returns nil has no error": {
			run:  func(context.Context, int) error { return nil },
			want: func(t *testing.T, err error) { require.NoError(t, err) },
		},
		"a task that fails has its own error": {
			run:  func(context.Context, int) error { return failure },
			want: func(t *testing.T, err error) { require.Equal(t, failure, err) },
		},
		"a panic is an error with its value and stack": {
			run: func(context.Context, int) error { panic("boom") },
			want: func(t *testing.T, err error) {
				var panicked *bounded.PanicError
				require.ErrorAs(t, err, &panicked)
				require.Equal(t, "boom", panicked.Value)
				require.Contains(t, string(panicked.Stack), "outcome_test.go")
				require.Equal(t, "panic: boom", err.Error())
			},
		},
		"a panic with an error unwraps to it": {
			run:  func(context.Context, int) error { panic(failure) },
			want: func(t *testing.T, err error) { require.ErrorIs(t, err, failure) },
		},
		"a task that ends its goroutine says so": {
			run:  func(context.Context, int) error { runtime.Goexit(); return nil },
			want: func(t *testing.T, err error) { require.ErrorIs(t, err, bounded.ErrGoexit) },
		},
		"a task that runs too long finds a TimeoutError as the cause": {
			run: func(ctx context.Context, _ int) error { return sleeper(ctx, 3600) },
			want: func(t *testing.T, err error) {
				var timeout *bounded.TimeoutError
				require.ErrorAs(t, err, &timeout)
				require.Equal(t, 5*time.Second, timeout.After)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{}
				pool := bounded.NewPool(bounded.Config[int]{Timeout: 5 * time.Second, Run: test.run, Done: l.done})
				require.NoError(t, pool.Go(t.Context(), 1))
				require.NoError(t, pool.Go(t.Context(), 2), "the slot is free again")
				pool.Wait()
				test.want(t, l.errs[1])
				test.want(t, l.errs[2])
				require.Equal(t, 1, pool.Peak())
			})
		})
	}
}

func TestPoolATaskThatIgnoresItsContextKeepsItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		pool := bounded.NewPool(bounded.Config[int]{
			Timeout: time.Second,
			Run:     func(context.Context, int) error { time.Sleep(time.Minute); return nil },
			Done:    l.done,
		})
		begin := time.Now()
		require.NoError(t, pool.Go(t.Context(), 1))
		require.NoError(t, pool.Go(t.Context(), 2))
		require.Equal(t, time.Minute, time.Since(begin))
		pool.Wait()
		require.Equal(t, 1, pool.Peak())
	})
}

func TestProtectReturnsTheErrorOrThePanic(t *testing.T) {
	t.Parallel()
	require.NoError(t, bounded.Protect(func() error { return nil }))
	require.ErrorIs(t, bounded.Protect(func() error { return context.Canceled }), context.Canceled)
	var panicked *bounded.PanicError
	require.ErrorAs(t, bounded.Protect(func() error { panic(42) }), &panicked)
	require.Equal(t, 42, panicked.Value)
}
