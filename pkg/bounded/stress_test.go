package bounded_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// stress feeds a pool from many goroutines, with panics, exits and cancelled waits, while its limit changes.
type stress struct {
	pool            *bounded.Pool[int]
	running         gauge
	accepted, ended atomic.Int64
}

const highestLimit = 8

func newStress() *stress {
	s := &stress{}
	s.pool = bounded.NewPool(bounded.Config[int]{Limit: 4, Timeout: time.Minute, Run: s.run, Done: s.done})
	return s
}

func (s *stress) run(_ context.Context, task int) error {
	s.running.enter()
	defer s.running.leave()
	switch task % 50 {
	case 0:
		panic(task)
	case 1:
		runtime.Goexit()
	case 2:
		runtime.Gosched()
	}
	return nil
}

func (s *stress) done(int, error) { s.ended.Add(1) }

// feed calls Go until the pool refuses or n tasks were offered; some of its waits are cancelled.
func (s *stress) feed(ctx context.Context, n int) {
	for task := range n {
		wait, cancel := ctx, context.CancelFunc(func() {})
		if task%7 == 0 {
			wait, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(50))*time.Microsecond)
		}
		err := s.pool.Go(wait, task)
		cancel()
		if err == nil {
			s.accepted.Add(1)
		}
		if errors.Is(err, bounded.ErrClosed) {
			return
		}
	}
}

func (s *stress) resize(ctx context.Context) {
	for ctx.Err() == nil {
		s.pool.SetLimit(1 + rand.IntN(highestLimit))
		runtime.Gosched()
	}
}

func TestPoolStressEveryAcceptedTaskIsDoneOnceAndTheLimitHolds(t *testing.T) {
	t.Parallel()
	s := newStress()
	ctx, stop := context.WithCancel(t.Context())
	var resizer, feeders sync.WaitGroup
	resizer.Go(func() { s.resize(ctx) })
	for range 16 {
		feeders.Go(func() { s.feed(t.Context(), 500) })
	}
	feeders.Wait()
	stop()
	resizer.Wait()
	s.pool.Wait()
	require.Positive(t, s.accepted.Load())
	require.Equal(t, s.accepted.Load(), s.ended.Load())
	require.LessOrEqual(t, s.running.most.Load(), int64(highestLimit))
	require.LessOrEqual(t, s.pool.Peak(), highestLimit)
	require.Zero(t, s.pool.InFlight())
}

func TestPoolStartStopStress(t *testing.T) {
	t.Parallel()
	for range 200 {
		s := newStress()
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() { s.feed(t.Context(), 100_000) })
		}
		for range 2 {
			group.Go(func() {
				runtime.Gosched()
				require.NoError(t, s.pool.Shutdown(t.Context()))
			})
		}
		group.Wait()
		require.Zero(t, s.pool.InFlight())
		require.Equal(t, s.accepted.Load(), s.ended.Load())
	}
}

func TestMapStressCancellationAtAnyMomentAnswersEveryInput(t *testing.T) {
	t.Parallel()
	inputs := make([]int, 200)
	for i := range inputs {
		inputs[i] = i
	}
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(300))*time.Microsecond)
		results := bounded.Map(ctx, 4, 20*time.Microsecond, inputs, func(ctx context.Context, i int) (int, error) {
			if i%10 == 0 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return i, nil
		})
		cancel()
		require.Len(t, results, len(inputs))
		for i, result := range results {
			require.True(t, result.Value == i || result.Err != nil, "input %d", i)
		}
	}
}
