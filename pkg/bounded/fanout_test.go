package bounded_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// double answers after as many seconds as its input says, and obeys its context.
func double(ctx context.Context, seconds int) (int, error) {
	return 2 * seconds, sleeper(ctx, seconds)
}

// deaf answers as double does, but ignores its context.
func deaf(_ context.Context, seconds int) (int, error) {
	time.Sleep(time.Duration(seconds) * time.Second)
	return 2 * seconds, nil
}

func TestMapAnswersInTheOrderOfTheInputs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		results := bounded.Map(t.Context(), 10, 0, []int{5, 1, 4, 2, 3}, double)
		for i, want := range []int{10, 2, 8, 4, 6} {
			require.Equal(t, bounded.Result[int]{Value: want}, results[i])
		}
	})
}

func TestMapOfNothingIsNothing(t *testing.T) {
	t.Parallel()
	require.Empty(t, bounded.Map(t.Context(), 10, 0, nil, double))
}

func TestMapKeepsItsLimitAndFillsAFreeSlotAtOnce(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]time.Duration{-1: 20, 1: 20, 2: 10, 100: 10} {
		t.Run(fmt.Sprintf("a limit of %d takes %d s", limit, want), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var running gauge
				begin := time.Now()
				bounded.ForEach(t.Context(), limit, time.Minute, []int{10, 1, 2, 3, 4}, func(ctx context.Context, n int) error {
					running.enter()
					defer running.leave()
					return sleeper(ctx, n)
				})
				require.Equal(t, want*time.Second, time.Since(begin))
				require.LessOrEqual(t, running.most.Load(), int64(max(limit, 1)))
			})
		})
	}
}

func TestMapGoesOnWhenSomeInputsFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("cluster unreachable")
		errs := bounded.ForEach(t.Context(), 1, 0, []int{0, 1, 2, 3}, func(_ context.Context, i int) error {
			switch i {
			case 0:
				return failure
			case 1:
				panic("boom")
			case 2:
				runtime.Goexit()
			}
			return nil
		})
		require.Equal(t, failure, errs[0])
		var panicked *bounded.PanicError
		require.ErrorAs(t, errs[1], &panicked)
		require.Contains(t, string(panicked.Stack), "fanout_test.go")
		require.ErrorIs(t, errs[2], bounded.ErrGoexit)
		require.NoError(t, errs[3], "one worker served all four")
	})
}

func TestMapAnswersALateInputAtOnceAndGoesOnWithoutIt(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]func(context.Context, int) (int, error){
		"a function that obeys its context":   double,
		"a function that ignores its context": deaf,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				results := bounded.Map(t.Context(), 1, 10*time.Second, []int{1, 3600, 2, 3600, 3}, fn)
				require.Equal(t, 26*time.Second, time.Since(begin))
				for i, want := range []int{2, 0, 4, 0, 6} {
					var timeout *bounded.TimeoutError
					require.Equal(t, want == 0, errors.As(results[i].Err, &timeout), "input %d: %v", i, results[i].Err)
					require.Equal(t, want == 0, errors.Is(results[i].Err, context.DeadlineExceeded))
					if want > 0 {
						require.Equal(t, want, results[i].Value)
					}
				}
				time.Sleep(2 * time.Hour)
				require.Error(t, results[1].Err, "a late answer goes nowhere")
			})
		})
	}
}

func TestMapReturnsAtOnceWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"without a timeout": 0, "with a timeout": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				begin := time.Now()
				results := bounded.Map(ctx, 2, timeout, []int{1, 60, 60, 60, 1}, deaf)
				require.Equal(t, 5*time.Second, time.Since(begin))
				require.Equal(t, bounded.Result[int]{Value: 2}, results[0], "what was answered stays answered")
				for _, result := range results[1:] {
					require.Equal(t, bounded.Result[int]{Err: context.DeadlineExceeded}, result)
				}
				time.Sleep(2 * time.Minute)
				require.Equal(t, context.DeadlineExceeded, results[1].Err, "a late answer goes nowhere")
			})
		})
	}
}

func TestMapBeginsNothingWhenItsContextHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var begun atomic.Int64
	errs := bounded.ForEach(ctx, 4, 0, []int{1, 2, 3}, func(context.Context, int) error {
		begun.Add(1)
		return nil
	})
	require.Equal(t, []error{context.Canceled, context.Canceled, context.Canceled}, errs)
	require.Zero(t, begun.Load())
}
