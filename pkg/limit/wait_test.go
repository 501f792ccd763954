package limit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACancelledWaitReturnsAtOnceAndGivesItsTurnToTheNext(t *testing.T) {
	inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
		tr.drain()
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := make(chan error, 1)
		go func() { cancelled <- tr.Trigger(cd).Wait(ctx) }()
		synctest.Wait()
		tr.ask(trigger, 1)

		time.Sleep(500 * time.Millisecond)
		cancel()
		require.ErrorIs(t, <-cancelled, context.Canceled)
		require.Equal(t, 500*time.Millisecond, time.Since(tr.begin))
		time.Sleep(500 * time.Millisecond)
		tr.require(1, 0)
	})
}

// The token and the end of the context come in the same instant, many times over: whichever wins, no token is lost and
// none is made.
func TestATokenGrantedToACancelledWaitIsGivenBack(t *testing.T) {
	t.Parallel()
	for _, class := range []string{trigger, background} {
		t.Run(class, func(t *testing.T) {
			inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
				tr.drain()
				refused := 0
				for range 200 {
					at := tr.begin.Add(time.Since(tr.begin) + time.Second)
					ctx, cancel := context.WithDeadline(t.Context(), at)
					err := tr.view(class).Wait(ctx)
					cancel()
					require.Equal(t, at, time.Now())
					if err != nil {
						require.ErrorIs(t, err, context.DeadlineExceeded)
						refused++
						require.True(t, tr.Trigger(cd).TryAccept(), "its token is there for the next")
					}
					require.False(t, tr.Trigger(cd).TryAccept(), "there was one token")
				}
				t.Logf("%d of 200 gave their token back", refused)
			})
		})
	}
}

func TestAWaitThatCannotEndBeforeItsDeadlineIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		prepare func(*trace)
		class   string
		within  time.Duration
		refused bool
	}{
		"the next token comes in time":                           {func(*trace) {}, trigger, time.Second, false},
		"the next token comes too late":                          {func(*trace) {}, trigger, time.Second - 1, true},
		"those before it in the line count":                      {func(tr *trace) { tr.ask(trigger, 3) }, trigger, 4*time.Second - 1, true},
		"those before it in the line leave it a token":           {func(tr *trace) { tr.ask(trigger, 3) }, trigger, 4 * time.Second, false},
		"background does not count for a trigger":                {func(tr *trace) { tr.ask(background, 3) }, trigger, time.Second, false},
		"triggers between two of background count for it":        {func(tr *trace) { tr.ask(trigger, 3); tr.ask(background, 1) }, background, 3*time.Second - 1, true},
		"a pause counts":                                         {func(tr *trace) { tr.Pause(time.Minute) }, trigger, time.Minute - 1, true},
		"tokens gained in a pause are there when it has ended":   {func(tr *trace) { tr.Pause(time.Minute) }, trigger, time.Minute, false},
		"a deadline that has passed is refused whatever is left": {func(tr *trace) { tr.SetLimit(0, 1) }, trigger, -1, true},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
				tr.drain()
				test.prepare(tr)
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				defer cancel()
				err := tr.view(test.class).Wait(ctx)
				if test.refused {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Zero(t, time.Since(tr.begin))
				} else {
					// Where both come in the same instant, either may win.
					require.Equal(t, test.within, time.Since(tr.begin))
				}
			})
		})
	}
}

func TestOnWaitIsToldHowLongEachClassWaited(t *testing.T) {
	inBubble(t, 1, 1, func(t *testing.T, tr *trace) {
		waits := make(chan grant, 10)
		tr.OnWait = func(class string, waited time.Duration) { waits <- grant{class, waited} }
		tr.Trigger(cd).Accept()
		tr.Background().Accept()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		require.Error(t, tr.Trigger(cd).Wait(ctx))
		require.Equal(t, grant{trigger, 0}, <-waits)
		require.Equal(t, grant{background, time.Second}, <-waits)
		require.Equal(t, grant{trigger, 300 * time.Millisecond}, <-waits)
	})
}
