package batch_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/bounded"
)

var errDown = errors.New("database is down")

// failing fails until the flush with the given number, the first being 0.
func failing(until int) func([]int) error {
	flushes := 0
	return func([]int) error {
		flushes++
		if flushes <= until {
			return errDown
		}
		return nil
	}
}

func TestAFailedFlushIsTriedAgainInOrderUntilItSucceeds(t *testing.T) {
	var waits []time.Duration
	config := batch.Config[int]{OnError: func(err error, items int, retryIn time.Duration) {
		if !errors.Is(err, errDown) || items != 1 {
			panic("OnError was told something else")
		}
		waits = append(waits, retryIn)
	}}
	inBubble(t, &sink{fails: failing(20)}, config, func(t *testing.T, r *running) {
		r.add(t, 0)
		synctest.Wait()
		r.add(t, upTo(100)[1:]...)
		time.Sleep(10 * time.Minute)
		require.Equal(t, upTo(100), r.stored())
		require.Len(t, r.tried(), 22)
		require.Len(t, waits, 20)
		for i, wait := range waits {
			require.GreaterOrEqual(t, wait, 100*ms)
			require.LessOrEqual(t, wait, 10*time.Second)
			require.Equal(t, wait, r.tried()[i+1].after-r.tried()[i].after)
		}
		require.NoError(t, r.end())
	})
}

func TestAPanicInFlushIsAFailure(t *testing.T) {
	panics := true
	var told error
	config := batch.Config[int]{OnError: func(err error, _ int, _ time.Duration) { told = err }}
	s := &sink{fails: func([]int) error {
		if panics {
			panics = false
			panic("boom")
		}
		return nil
	}}
	inBubble(t, s, config, func(t *testing.T, r *running) {
		r.add(t, 1)
		time.Sleep(time.Second)
		require.Equal(t, []int{1}, r.stored())
		var panicked *bounded.PanicError
		require.ErrorAs(t, told, &panicked)
		require.NoError(t, r.end())
	})
}

func TestAFlushThatTakesTooLongIsAFailure(t *testing.T) {
	var told error
	config := batch.Config[int]{FlushTimeout: time.Second, OnError: func(err error, _ int, _ time.Duration) { told = err }}
	inBubble(t, &sink{takes: time.Hour}, config, func(t *testing.T, r *running) {
		r.add(t, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, told, context.DeadlineExceeded)
		require.ErrorContains(t, told, "no answer within 1s")
		r.takes = 0
		require.NoError(t, r.end())
		require.Equal(t, []int{1}, r.stored())
	})
}

func TestRunFlushesWhatIsLeftWhenItIsStopped(t *testing.T) {
	inBubble(t, &sink{takes: time.Second}, batch.Config[int]{MaxSize: 2}, func(t *testing.T, r *running) {
		r.add(t, 1)
		synctest.Wait()
		r.add(t, 2, 3, 4)
		r.stop()
		synctest.Wait()
		r.add(t, 5) // still taken while there is something left
		require.NoError(t, <-r.done)
		require.Equal(t, []int{1, 2, 3, 4, 5}, r.stored(), "the flush under way was not aborted")
		require.Equal(t, 3*time.Second, time.Since(r.begin))
		require.ErrorIs(t, r.Add(6), batch.ErrClosed)
	})
}

func TestRunTriesAtOnceAgainWhenItIsStoppedDuringABackoff(t *testing.T) {
	inBubble(t, &sink{fails: failing(8)}, batch.Config[int]{}, func(t *testing.T, r *running) {
		r.add(t, 1)
		synctest.Wait()
		for len(r.tried()) < 8 {
			time.Sleep(ms)
		}
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, r.end())
		require.Zero(t, time.Since(begin))
		require.Equal(t, []int{1}, r.stored())
	})
}

func TestRunGivesUpAfterTheDrainTimeoutAndSaysHowManyAreLeft(t *testing.T) {
	cases := map[string]*sink{
		"when every flush fails":                 {fails: func([]int) error { return errDown }},
		"when a flush hangs until it is stopped": {takes: time.Hour},
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			config := batch.Config[int]{DrainTimeout: 3 * time.Second, MaxSize: 2}
			inBubble(t, s, config, func(t *testing.T, r *running) {
				r.add(t, 1, 2, 3, 4, 5)
				synctest.Wait()
				begin := time.Now()
				require.ErrorContains(t, r.end(), "drain: 5 items not flushed: ")
				require.Equal(t, 3*time.Second, time.Since(begin))
				require.ErrorIs(t, r.Add(6), batch.ErrClosed)
				require.Empty(t, r.stored())
			})
		})
	}
}

func TestRunStopsAtOnceWhenNothingIsLeft(t *testing.T) {
	inBubble(t, &sink{}, batch.Config[int]{}, func(t *testing.T, r *running) {
		require.NoError(t, r.end())
		require.Zero(t, time.Since(r.begin))
		require.ErrorIs(t, r.Run(t.Context()), batch.ErrClosed, "it runs once")
	})
}

func TestItemsAddedBeforeRunWaitForIt(t *testing.T) {
	t.Parallel()
	s := &sink{begin: time.Now()}
	committer := batch.New(batch.Config[int]{Flush: s.flush})
	require.NoError(t, committer.Add(1))
	require.Equal(t, 1, committer.Waiting())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, committer.Run(ctx))
	require.Equal(t, []int{1}, s.kept)
}

func TestAGroupThatOneItemHoldsUpIsCommittedWithoutIt(t *testing.T) {
	var locked atomic.Bool
	locked.Store(true)
	s := &sink{fails: func(items []int) error {
		if locked.Load() && slices.Contains(items, 5) {
			return errDown
		}
		return nil
	}}
	config := batch.Config[int]{Splits: func(err error) bool { return errors.Is(err, errDown) }}
	inBubble(t, s, config, func(t *testing.T, r *running) {
		r.add(t, 0)
		synctest.Wait()
		r.add(t, upTo(9)[1:]...)
		time.Sleep(time.Minute)
		require.ElementsMatch(t, []int{0, 1, 2, 3, 4, 6, 7, 8}, r.stored())
		require.Equal(t, []int{5}, r.tried()[len(r.tried())-1].items, "it alone is tried again")
		locked.Store(false)
		time.Sleep(time.Minute)
		require.ElementsMatch(t, upTo(9), r.stored())
		require.NoError(t, r.end())
	})
}
