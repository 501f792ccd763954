package limit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/limit"
)

// times repeats an order of grants.
func times(n int, order ...string) []string { return slices.Repeat(order, n) }

func TestLanesHaveTokensAlternatelyHoweverManyWaitInEach(t *testing.T) {
	inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
		tr.drain()
		tr.ask(cd, 100)
		tr.ask(ci, 5)
		time.Sleep(20 * time.Second)
		require.Equal(t, slices.Concat(times(5, cd, ci), times(10, cd)), tr.order())
	})
}

func TestALaneOfManyCallersHasNoMoreThanOneOfASingleCaller(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		var callers sync.WaitGroup
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second-time.Millisecond)
		defer stop()
		call := func(lane string) func() {
			return func() {
				for tr.view(lane).Wait(ctx) == nil {
					tr.record(lane)
				}
			}
		}
		callers.Go(call(ci))
		for range 20 {
			callers.Go(call(cd))
		}
		callers.Wait()
		require.InDelta(t, tr.count(cd), tr.count(ci), 12, "but for the burst, which is there for whoever comes first")
		require.InDelta(t, 10+500, len(tr.grants), 2, "no token is left over")
	})
}

func TestALaneThatJoinsLateIsServedWithinOneRound(t *testing.T) {
	inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
		tr.drain()
		for _, lane := range []string{"a", "b", "c"} {
			tr.ask(lane, 10)
		}
		time.Sleep(4 * time.Second)
		require.Len(t, tr.order(), 4)
		tr.ask("late", 2)
		time.Sleep(8 * time.Second)
		require.Equal(t, []string{"a", "b", "c", "a", "b", "c", "a", "late", "b", "c", "a", "late"}, tr.order())
	})
}

func TestAnIdleLaneCostsNothingAndSavesUpNoTurns(t *testing.T) {
	inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
		tr.drain()
		tr.ask(ci, 1)
		tr.ask(cd, 50)
		time.Sleep(20 * time.Second)
		require.Equal(t, slices.Concat(times(1, ci), times(19, cd)), tr.order(), "every second has its token")

		tr.ask(ci, 50)
		time.Sleep(10 * time.Second)
		require.Equal(t, times(5, cd, ci), tr.order()[20:])
	})
}

func TestWaitersThatLeaveALaneDoNotDisturbTheTurnsOfOthers(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		leaving []string // lanes, two callers each, after each of a, b and c had one token
		staying int      // callers behind those in each lane
		after   []string // who has the next tokens
	}{
		"nobody leaves":                              {nil, 0, []string{"a", "b", "c", "a", "b", "c"}},
		"from all lines, and others are behind":      {[]string{"a", "b", "c"}, 2, []string{"a", "b", "c", "a", "b", "c"}},
		"from one line, and others are behind":       {[]string{"b"}, 1, []string{"a", "b", "c", "a", "c", "a", "c"}},
		"all of the lane whose turn is next":         {[]string{"a"}, 0, []string{"b", "c", "b", "c"}},
		"all of the lane whose turn is in between":   {[]string{"b"}, 0, []string{"a", "c", "a", "c"}},
		"all of the lane whose turn is last":         {[]string{"c"}, 0, []string{"a", "b", "a", "b"}},
		"all of all lanes but one, which has it all": {[]string{"a", "c"}, 0, []string{"b", "b"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
				tr.drain()
				leave := map[string]context.CancelFunc{}
				for _, lane := range []string{"a", "b", "c"} {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					leave[lane] = cancel
					tr.ask(lane, 1)
					tr.askWith(ctx, lane, 2)
					tr.ask(lane, test.staying)
				}
				time.Sleep(3 * time.Second)
				require.Equal(t, []string{"a", "b", "c"}, tr.order())
				for _, lane := range test.leaving {
					leave[lane]()
				}
				time.Sleep(time.Minute)
				require.Equal(t, test.after, tr.order()[3:])
			})
		})
	}
}

func TestADeadlineIsComparedWithTheTurnThatACallerWillHave(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		waiting []string // views, in the order in which their callers came
		view    string
		turn    int
	}{
		"alone":                                     {nil, cd, 1},
		"others of its lane go before":              {times(3, cd), cd, 4},
		"one of another lane goes before":           {times(100, ci), cd, 2},
		"one of each other lane goes before":        {slices.Concat(times(9, "a"), times(9, "b"), times(9, "c")), cd, 4},
		"a lane that came before has as many turns": {slices.Concat(times(100, ci), times(3, cd)), cd, 8},
		"a lane that came later has one turn less":  {slices.Concat(times(3, cd), times(100, ci)), cd, 7},
		"a lane has no more turns than callers":     {slices.Concat(times(9, cd), times(2, ci)), cd, 12},
		"long and short lanes on both sides":        {slices.Concat(times(1, "a"), times(9, "b"), times(3, cd), times(9, "c"), times(2, "d")), cd, 14},
		"background does not count":                 {times(5, background), cd, 1},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
				tr.Pause(time.Second)
				for _, view := range test.waiting {
					tr.ask(view, 1)
				}
				turn := time.Duration(test.turn) * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), turn-1)
				defer cancel()
				require.ErrorIs(t, tr.view(test.view).Wait(ctx), context.DeadlineExceeded)
				require.Zero(t, time.Since(tr.begin), "refused at once")

				ctx, cancel = context.WithTimeout(t.Context(), turn+1)
				defer cancel()
				require.NoError(t, tr.view(test.view).Wait(ctx))
				require.Equal(t, turn, time.Since(tr.begin))
			})
		})
	}
}

func TestTheSameNameIsTheSameLine(t *testing.T) {
	inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
		tr.drain()
		first, second := tr.Trigger(cd), tr.Trigger(cd)
		tr.ask(ci, 4)
		go func() { first.Accept(); tr.record("first") }()
		synctest.Wait()
		go func() { second.Accept(); tr.record("second") }()
		time.Sleep(4 * time.Second)
		require.Equal(t, []string{ci, "first", ci, "second"}, tr.order())
	})
}

func TestTheShareOfBackgroundIsOfTheTokensOfAllLanes(t *testing.T) {
	inBubble(t, 50, 1, func(t *testing.T, tr *trace) {
		tr.Pause(limit.Quiet)
		tr.ask(background, 10)
		tr.ask(cd, 100)
		tr.ask(ci, 100)
		time.Sleep(6 * time.Second)
		round := slices.Concat(times(limit.Share/2, cd, ci), times(1, background))
		require.Equal(t, times(3, round...), tr.order()[:3*len(round)])
	})
}

func TestTriggersAreUnderWayWhileThoseOfAnyLaneAre(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		tr.SetBusy(cd, true)
		tr.ask(background, 5)
		tr.SetBusy(ci, true)
		tr.SetBusy(cd, false)
		tr.require(0, 0)
		tr.SetBusy(cd, false) // again changes nothing
		tr.require(0, 0)
		tr.SetBusy(ci, false)
		tr.require(0, 5)
	})
}

func TestAnotherLaneThatBecomesBusyDoesNotMakeBackgroundWaitAnew(t *testing.T) {
	inBubble(t, 50, 10, func(_ *testing.T, tr *trace) {
		tr.SetBusy(cd, true)
		tr.ask(background, 1)
		time.Sleep(limit.Quiet - time.Millisecond)
		tr.SetBusy(ci, true)
		tr.require(0, 0)
		time.Sleep(time.Millisecond)
		tr.require(0, 1)
	})
}
