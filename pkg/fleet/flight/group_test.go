package flight

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// wants are requests for these keys, with their places as slots.
func wants(keys ...int) []Want[int] {
	list := make([]Want[int], len(keys))
	for i, key := range keys {
		list[i] = Want[int]{Slot: i, Key: key}
	}
	return list
}

// take receives n outcomes, by slot.
func take(outcomes <-chan Outcome[int], n int) map[int]Outcome[int] {
	taken := map[int]Outcome[int]{}
	for range n {
		outcome := <-outcomes
		taken[outcome.Slot] = outcome
	}
	return taken
}

func TestEachWantHasItsOutcomeAndEqualOnesAreOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls, ended atomic.Int32
		failed := errors.New("no")
		g := New(Config[int, int]{
			Limit: 3,
			Run: func(_ context.Context, key int) (int, error) {
				calls.Add(1)
				time.Sleep(time.Second)
				if key == 13 {
					return 0, failed
				}
				return key * 10, nil
			},
			OnEnd: func(int, int, error) { ended.Add(1) },
		})
		defer g.Close()
		first, second := g.Start(wants(1, 2, 2, 13)), g.Start(wants(2, 1))
		require.Equal(t, map[int]Outcome[int]{0: {0, 10, nil}, 1: {1, 20, nil}, 2: {2, 20, nil}, 3: {3, 0, failed}}, take(first, 4))
		require.Equal(t, map[int]Outcome[int]{0: {0, 20, nil}, 1: {1, 10, nil}}, take(second, 2))
		require.Equal(t, int32(3), calls.Load())
		require.Equal(t, int32(3), ended.Load())
		require.True(t, g.IsIdle())
		take(g.Start(wants(1)), 1)
		require.Equal(t, int32(4), calls.Load(), "what has ended is made anew")
	})
}

func TestALongListKeepsNoShortOneWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Config[int, int]{Limit: 2, Run: func(context.Context, int) (int, error) {
			time.Sleep(time.Second)
			return 0, nil
		}})
		defer g.Close()
		long := make([]int, 1000)
		for i := range long {
			long[i] = i
		}
		g.Start(wants(long...))
		synctest.Wait()
		began := time.Now()
		take(g.Start(wants(5000, 5001)), 2)
		require.LessOrEqual(t, time.Since(began), 4*time.Second)
	})
}

func TestWhatNobodyWaitsForLeavesSlotsUntilSomebodyDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var active, peak, calls atomic.Int32
		g := New(Config[int, int]{Limit: 10, Behind: 2, Run: func(context.Context, int) (int, error) {
			calls.Add(1)
			peak.Store(max(peak.Load(), active.Add(1)))
			defer active.Add(-1)
			time.Sleep(time.Second)
			return 0, nil
		}})
		defer g.Close()
		behind := wants(0, 1, 2, 3, 4, 5, 6, 7)
		for i := range behind {
			behind[i].Behind = true
		}
		began := time.Now()
		all := g.Start(behind)
		synctest.Wait()
		take(g.Start(wants(7, 6, 0, 100)), 4)
		require.Equal(t, time.Second, time.Since(began), "they do not wait behind the others")
		require.Equal(t, int32(2+3), peak.Load())
		take(all, len(behind))
		require.Equal(t, 3*time.Second, time.Since(began), "two at a time: 0 and 1, 2 and 3, 4 and 5; 6 and 7 had been begun")
		require.Equal(t, int32(9), calls.Load(), "each once")
		synctest.Wait()
		require.Empty(t, g.behind)
	})
}

func TestWhatWaitsBehindEndsWithTheGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Config[int, int]{Limit: 1, Run: func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}})
		behind := wants(0, 1, 2)
		for i := range behind {
			behind[i].Behind = true
		}
		outcomes := g.Start(behind)
		synctest.Wait()
		g.Close()
		for _, outcome := range take(outcomes, 3) {
			require.ErrorIs(t, outcome.Err, context.Canceled)
		}
	})
}

func TestARequestThatIsLateOrPanicsIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Config[int, int]{Limit: 10, Timeout: time.Second, Run: func(ctx context.Context, key int) (int, error) {
			switch key {
			case 0:
				<-ctx.Done()
				return 0, context.Cause(ctx)
			case 1:
				panic("no")
			}
			return key, nil
		}})
		defer g.Close()
		taken := take(g.Start(wants(0, 1, 2)), 3)
		var late *bounded.TimeoutError
		require.ErrorAs(t, taken[0].Err, &late)
		var panicked *bounded.PanicError
		require.ErrorAs(t, taken[1].Err, &panicked)
		require.NoError(t, taken[2].Err)
	})
}

func TestCloseEndsWhatIsUnderWayAndWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Config[int, int]{Limit: 1, Run: func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}})
		outcomes := g.Start(wants(1, 2, 3))
		synctest.Wait()
		g.Close()
		for _, outcome := range take(outcomes, 3) {
			require.ErrorIs(t, outcome.Err, context.Canceled)
		}
		require.ErrorIs(t, (<-g.Start(wants(4))).Err, context.Canceled)
		g.Close()
	})
}

// Nobody receives the outcomes: nothing is left behind all the same.
func TestOutcomesThatNobodyTakesKeepNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Config[int, int]{Limit: 2, Run: func(context.Context, int) (int, error) { return 0, nil }})
		for range 100 {
			g.Start(wants(1, 2, 3))
		}
		synctest.Wait()
		require.True(t, g.IsIdle())
		g.Close()
	})
}
