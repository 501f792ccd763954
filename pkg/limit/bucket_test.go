package limit_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/limit"
)

const (
	trigger    = limit.TriggerClass
	background = limit.BackgroundClass

	cd, ci = "cd", "ci" // lanes
)

func TestABurstIsGrantedAtOnceAndTheRestAtTheRate(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		tr.ask(trigger, 60)
		tr.require(10, 0)
		time.Sleep(500 * time.Millisecond)
		tr.require(35, 0)
		time.Sleep(500 * time.Millisecond)
		tr.require(60, 0)
		require.InDelta(t, time.Second, tr.grants[59].after, float64(time.Microsecond))
	})
}

func TestAQPSOfZeroLiftsTheLimit(t *testing.T) {
	inBubble(t, 0, 0, func(t *testing.T, tr *trace) {
		tr.ask(trigger, 100)
		tr.ask(background, 100)
		tr.require(100, 100)
		require.True(t, math.IsInf(float64(tr.Trigger(cd).QPS()), 1))
	})
}

func TestABurstBelowOneMeansOne(t *testing.T) {
	inBubble(t, 10, 0, func(t *testing.T, tr *trace) {
		require.True(t, tr.Trigger(cd).TryAccept())
		require.False(t, tr.Trigger(cd).TryAccept())
	})
}

func TestBothClassesShareOneRate(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		tr.ask(trigger, 100)
		tr.ask(background, 100)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, tr.grants, 60)
	})
}

func TestATriggerGoesBeforeBackgroundThatWaitsLonger(t *testing.T) {
	inBubble(t, 1, 1, func(_ *testing.T, tr *trace) {
		tr.drain()
		tr.ask(background, 5)
		tr.ask(trigger, 3)
		time.Sleep(3 * time.Second)
		tr.require(3, 0)
		time.Sleep(5 * time.Second)
		tr.require(3, 5)
	})
}

// But for two tokens, so that the first trigger waits for none.
func TestBackgroundFlowsFreelyWhenNoTriggerIsUnderWay(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		tr.ask(background, 100)
		time.Sleep(time.Second)
		tr.require(0, 58)
		tr.ask(trigger, 2)
		tr.require(2, 58)
	})
}

func TestASmallBurstIsNotKeptFromBackground(t *testing.T) {
	inBubble(t, 50, 1, func(_ *testing.T, tr *trace) {
		tr.ask(background, 100)
		time.Sleep(time.Second)
		tr.require(0, 51)
	})
}

func TestInABurstOnlyRequestsThatHaveWaitedHaveTokensAndFewOfThem(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		tr.SetBusy(cd, true)
		tr.ask(trigger, 1000)
		tr.ask(background, 1000)
		time.Sleep(limit.Quiet - time.Millisecond)
		require.Zero(t, tr.count(background))
		time.Sleep(18 * time.Second)
		require.InDelta(t, 1000, tr.count(trigger), 10)
		require.InDelta(t, 18, tr.count(background), 1)
		since := limit.Share
		for _, g := range tr.grants {
			if g.to == background {
				require.GreaterOrEqual(t, since, limit.Share)
				since = -1
			}
			since++
		}
	})
}

// writer asks for one token after the other, as a loop that writes status does, and returns how long each waited.
func (tr *trace) writer(ctx context.Context, every time.Duration) (waits []time.Duration) {
	for ctx.Err() == nil {
		began := time.Now()
		if tr.Background().Wait(ctx) != nil {
			return waits
		}
		waits = append(waits, time.Since(began))
		tr.record(background)
		time.Sleep(every)
	}
	return waits
}

// crowd keeps triggers waiting until ctx ends.
func (tr *trace) crowd(ctx context.Context, callers *sync.WaitGroup) {
	tr.SetBusy(cd, true)
	for range 5 {
		callers.Go(func() {
			for tr.Trigger(cd).Wait(ctx) == nil {
				tr.record(trigger)
			}
		})
	}
}

func TestABurstOfTwentySecondsWithLittleStatusCostsTriggersNextToNothing(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second-time.Millisecond)
		defer stop()
		var callers sync.WaitGroup
		tr.crowd(ctx, &callers)
		callers.Go(func() { tr.writer(ctx, 2*time.Second) }) // the status of the build
		callers.Wait()
		require.LessOrEqual(t, tr.count(background), 5)
		require.GreaterOrEqual(t, tr.count(trigger), 1000)
	})
}

func TestInAQueueThatNeverEmptiesStatusIsHardlyLate(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Minute, stop)
		var callers sync.WaitGroup
		tr.crowd(ctx, &callers)
		time.Sleep(limit.First)
		// 100 objects that always have changed, written by four in rounds.
		var rounds []time.Duration
		for ctx.Err() == nil {
			began := time.Now()
			tr.SetDue("report", began)
			var writers sync.WaitGroup
			for range 4 {
				writers.Go(func() {
					for range 25 {
						if tr.Background().Wait(ctx) == nil {
							tr.record(background)
						}
					}
				})
			}
			writers.Wait()
			tr.SetDue("report", time.Time{})
			if ctx.Err() == nil {
				rounds = append(rounds, time.Since(began))
			}
		}
		callers.Wait()
		for _, round := range rounds {
			require.Less(t, round, 10*time.Second)
		}
		require.Greater(t, tr.count(trigger), tr.count(background), "half is the most")
		require.Greater(t, tr.count(background), 600*10, "100 each 10 s")
	})
}

func TestFinalizersThatNobodyToldOfHaveTokensAfterABurstHasLasted(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		var callers sync.WaitGroup
		tr.crowd(ctx, &callers)
		for range 4 {
			callers.Go(func() {
				for _, waited := range tr.writer(ctx, 0) {
					require.Less(t, waited, 6*time.Second)
				}
			})
		}
		callers.Wait()
		require.Greater(t, tr.count(background), 150)
		require.Less(t, tr.count(background), 600)
	})
}

func TestABurstEndsWithAPauseAndNotWithEachMomentInWhichTheQueueIsEmpty(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		for range 35 {
			tr.SetBusy(cd, true)
			require.Equal(t, time.Since(tr.begin) < limit.First, tr.TriggersFirst())
			time.Sleep(900 * time.Millisecond)
			tr.SetBusy(cd, false)
			require.False(t, tr.TriggersFirst())
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(limit.Quiet)
		tr.SetBusy(cd, true)
		require.True(t, tr.TriggersFirst())
	})
}

func TestTheShareHoldsWhenTriggersComeOneAfterTheOther(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		tr.SetBusy(cd, true)
		tr.ask(background, 1000)
		var pool sync.WaitGroup
		for range 5 {
			pool.Go(func() {
				for range 40 {
					tr.Trigger(cd).Accept()
					tr.record(trigger)
				}
			})
		}
		pool.Wait()
		require.Equal(t, 200, tr.count(trigger))
		require.LessOrEqual(t, tr.count(background), 4)
	})
}

func TestBackgroundFlowsAgainOnceTriggersAreNoLongerUnderWay(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		tr.SetBusy(cd, true)
		tr.ask(background, 5)
		tr.require(0, 0)
		tr.SetBusy(cd, false)
		tr.require(0, 5)
	})
}

func TestBackgroundFlowsAgainWhenTheLastWaitingTriggerGivesUp(t *testing.T) {
	inBubble(t, 0.1, 1, func(t *testing.T, tr *trace) {
		tr.drain()
		ctx, cancel := context.WithCancel(t.Context())
		tr.askWith(ctx, trigger, 1)
		tr.ask(background, 1)
		cancel()
		time.Sleep(10 * time.Second)
		tr.require(0, 1)
	})
}

func TestBackgroundFlowsFreelyWhileTriggersUnderWayTakeNoTokens(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		time.Sleep(time.Hour)
		tr.SetBusy(cd, true)
		tr.ask(background, 3)
		time.Sleep(limit.Quiet - time.Millisecond)
		tr.SetBusy(cd, true) // again changes nothing
		tr.require(0, 0)
		time.Sleep(time.Millisecond)
		tr.require(0, 3)

		time.Sleep(time.Hour)
		tr.ask(trigger, 1)
		tr.ask(background, 1)
		tr.require(1, 4) // due since long
		tr.ask(background, 2)
		time.Sleep(limit.Quiet)
		tr.require(1, 6)
	})
}

func TestBackgroundHasATokenInTimeWhileSlowTriggersLeaveTokensOver(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		tr.SetBusy(cd, true)
		tr.ask(background, 100)
		for range 10 { // as from one create to the next
			tr.ask(trigger, 1)
			time.Sleep(limit.Quiet / 2)
		}
		tr.require(10, 5)
	})
}

func TestALowRateDoesNotKeepBackgroundWaitingForEver(t *testing.T) {
	inBubble(t, 0.1, 1, func(_ *testing.T, tr *trace) {
		tr.SetBusy(cd, true)
		tr.ask(trigger, 40)
		tr.ask(background, 2)
		time.Sleep(20 * time.Second)
		tr.require(3, 0)
		time.Sleep(370 * time.Second)
		tr.require(38, 2)
	})
}

func TestTheLimitChangesWhileCallersWait(t *testing.T) {
	inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
		tr.ask(trigger, 101)
		tr.require(1, 0)
		tr.SetLimit(100, 10)
		require.InDelta(t, 100, tr.Background().QPS(), 0)
		time.Sleep(500 * time.Millisecond)
		tr.require(51, 0)
		tr.SetLimit(10, 1)
		time.Sleep(time.Second)
		tr.require(61, 0)
		tr.SetLimit(0, 1)
		tr.require(101, 0)
	})
}

func TestAPauseStopsBothClasses(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		tr.Pause(3 * time.Second)
		tr.ask(trigger, 2)
		tr.ask(background, 2)
		require.False(t, tr.Trigger(cd).TryAccept())
		time.Sleep(3*time.Second - time.Nanosecond)
		tr.require(0, 0)
		time.Sleep(time.Nanosecond)
		tr.require(2, 2)
	})
}

func TestAPauseIsExtendedButNeverShortened(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		tr.Pause(3 * time.Second)
		tr.ask(trigger, 1)
		tr.Pause(5 * time.Second)
		tr.Pause(time.Second)
		time.Sleep(5*time.Second - time.Nanosecond)
		tr.require(0, 0)
		time.Sleep(time.Nanosecond)
		tr.require(1, 0)
	})
}

func TestTryAcceptTakesATokenOnlyWhenNobodyIsBefore(t *testing.T) {
	inBubble(t, 1, 2, func(t *testing.T, tr *trace) {
		require.True(t, tr.Background().TryAccept())
		tr.SetBusy(cd, true)
		require.False(t, tr.Background().TryAccept(), "triggers are under way")
		require.True(t, tr.Trigger(cd).TryAccept())
		require.False(t, tr.Trigger(cd).TryAccept(), "the bucket is empty")
		tr.ask(trigger, 1)
		time.Sleep(time.Second)
		tr.require(1, 0)
		require.False(t, tr.Trigger(cd).TryAccept(), "the one that waited had it")
	})
}

func TestStopLeavesTheOtherViewWorking(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		tr.Background().Stop()
		tr.ask(trigger, 1)
		tr.require(1, 0)
	})
}
