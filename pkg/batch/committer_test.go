package batch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/batch"
)

const ms = time.Millisecond

func TestACommitterWithoutFlushIsAMistake(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { batch.New(batch.Config[int]{}) })
}

func TestTheFirstItemAfterAQuietTimeIsFlushedAtOnce(t *testing.T) {
	inBubble(t, &sink{}, batch.Config[int]{}, func(t *testing.T, r *running) {
		r.add(t, 1)
		time.Sleep(time.Minute)
		r.add(t, 2)
		require.Equal(t, []attempt{{0, []int{1}}, {time.Minute, []int{2}}}, r.tried())
		require.NoError(t, r.end())
	})
}

func TestItemsThatComeDuringAFlushGoTogetherInTheNext(t *testing.T) {
	inBubble(t, &sink{takes: 200 * ms}, batch.Config[int]{}, func(t *testing.T, r *running) {
		r.add(t, 1)
		synctest.Wait()
		r.add(t, 2, 3)
		time.Sleep(100 * ms)
		r.add(t, 4)
		require.Equal(t, 3, r.Waiting())
		time.Sleep(time.Second)
		require.Equal(t, []attempt{{0, []int{1}}, {200 * ms, []int{2, 3, 4}}}, r.tried())
		require.NoError(t, r.end())
	})
}

func TestFlushesBeginAtLeastTheIntervalApart(t *testing.T) {
	for name, test := range map[string]struct {
		interval time.Duration
		flushes  int
	}{
		"50 ms by default":         {0, 20},
		"as configured":            {100 * ms, 10},
		"or none where below zero": {-1, 995},
	} {
		t.Run(name, func(t *testing.T) {
			config := batch.Config[int]{MinInterval: test.interval}
			inBubble(t, &sink{}, config, func(t *testing.T, r *running) {
				for item := range 995 {
					r.add(t, item)
					time.Sleep(ms)
				}
				require.Len(t, r.tried(), test.flushes)
				require.NoError(t, r.end())
				require.Equal(t, upTo(995), r.stored())
			})
		})
	}
}

func TestAGroupHasAtMostMaxSizeItems(t *testing.T) {
	for name, test := range map[string]struct{ size, want int }{
		"500 by default": {0, 500},
		"as configured":  {7, 7},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, &sink{takes: ms}, batch.Config[int]{MaxSize: test.size}, func(t *testing.T, r *running) {
				r.add(t, 0)
				synctest.Wait() // the others come while it is being flushed
				r.add(t, upTo(1200)[1:]...)
				require.NoError(t, r.end())
				for _, a := range r.tried()[1 : len(r.tried())-1] {
					require.Len(t, a.items, test.want)
				}
				require.Equal(t, upTo(1200), r.stored())
			})
		})
	}
}

func TestALeftOverOfAFullGroupIsFlushedWithoutAnotherItem(t *testing.T) {
	inBubble(t, &sink{takes: ms}, batch.Config[int]{MaxSize: 2}, func(t *testing.T, r *running) {
		r.add(t, 0)
		synctest.Wait()
		r.add(t, 1, 2, 3)
		time.Sleep(time.Second)
		require.Equal(t, []attempt{{0, []int{0}}, {50 * ms, []int{1, 2}}, {100 * ms, []int{3}}}, r.tried())
		require.NoError(t, r.end())
	})
}

func TestItemsAreRefusedWhenTooManyWait(t *testing.T) {
	inBubble(t, &sink{takes: time.Second}, batch.Config[int]{MaxWaiting: 2}, func(t *testing.T, r *running) {
		r.add(t, 1)
		synctest.Wait() // it is being flushed, and no longer waits
		r.add(t, 2, 3)
		require.ErrorIs(t, r.Add(4), batch.ErrFull)
		time.Sleep(time.Second)
		synctest.Wait()
		r.add(t, 5)
		require.NoError(t, r.end())
		require.Equal(t, []int{1, 2, 3, 5}, r.stored())
	})
}

func TestOnFlushIsToldTheSizeAndDurationOfEachGroup(t *testing.T) {
	type flushed struct {
		items int
		took  time.Duration
	}
	var told []flushed
	config := batch.Config[int]{OnFlush: func(items int, took time.Duration) { told = append(told, flushed{items, took}) }}
	inBubble(t, &sink{takes: 70 * ms}, config, func(t *testing.T, r *running) {
		r.add(t, 1)
		synctest.Wait()
		r.add(t, 2, 3)
		require.NoError(t, r.end())
		require.Equal(t, []flushed{{1, 70 * ms}, {2, 70 * ms}}, told)
	})
}

func coalescing(config batch.Config[int]) *batch.Committer[int] {
	return batch.NewCoalescing(config, func(item int) int { return item % 10 })
}

func TestALaterItemTakesThePlaceOfTheOneThatWaitsUnderItsKey(t *testing.T) {
	inBubbleWith(t, &sink{takes: time.Second}, batch.Config[int]{MaxSize: 3}, coalescing, func(t *testing.T, r *running) {
		r.add(t, 1)
		synctest.Wait()
		r.add(t, 11, 2, 3, 4, 21, 12, 31, 34) // 1 is being flushed, and stays
		require.Equal(t, 4, r.Waiting())
		time.Sleep(1500 * ms)
		r.add(t, 41, 44) // 31 is being flushed now, 34 waits
		require.NoError(t, r.end())
		require.Equal(t, []int{1, 31, 12, 3, 44, 41}, r.stored())
	})
}

func TestAnItemThatReplacesAnotherIsNeverTooMany(t *testing.T) {
	inBubbleWith(t, &sink{takes: time.Second}, batch.Config[int]{MaxWaiting: 1}, coalescing, func(t *testing.T, r *running) {
		r.add(t, 1)
		synctest.Wait()
		r.add(t, 2)
		require.ErrorIs(t, r.Add(3), batch.ErrFull)
		r.add(t, 12)
		require.NoError(t, r.end())
		require.Equal(t, []int{1, 12}, r.stored())
	})
}
