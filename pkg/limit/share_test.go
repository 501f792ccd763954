package limit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHowManyTokensTriggersHaveForEachOneOfBackground(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		busy   time.Duration
		late   Lateness
		tokens int
	}{
		"in the first 30 s background has none":                           {10 * time.Second, Lateness{}, never},
		"whatever work is due":                                            {29 * time.Second, Lateness{Due: time.Hour}, never},
		"nor for a request that came a moment ago":                        {0, Lateness{Waited: 1999 * time.Millisecond}, never},
		"but one that has waited for 2 s has the least share":             {0, Lateness{Waited: 2 * time.Second}, 50},
		"and no more than that while the burst is young":                  {29 * time.Second, Lateness{Waited: time.Hour}, 50},
		"after 30 s work that is hardly late has none":                    {time.Hour, Lateness{Waited: 900 * time.Millisecond, Due: 900 * time.Millisecond}, never},
		"work that is late has the least share first":                     {30 * time.Second, Lateness{Due: time.Hour}, 50},
		"which grows while the burst goes on":                             {31 * time.Second, Lateness{Due: time.Hour}, 2},
		"to half of the tokens":                                           {32 * time.Second, Lateness{Due: time.Hour}, 1},
		"and no further":                                                  {time.Hour, Lateness{Due: time.Hour}, 1},
		"a request that waits counts as work that is due":                 {time.Hour, Lateness{Waited: 4 * time.Second}, 1},
		"the share grows with how late it is":                             {time.Hour, Lateness{Due: 2500 * time.Millisecond}, 2},
		"work that is a second late has the least share in the long run":  {time.Hour, Lateness{Due: time.Second}, 50},
		"the oldest of both counts":                                       {time.Hour, Lateness{Waited: time.Second, Due: 4 * time.Second}, 1},
		"without triggers it is as at the beginning of a burst":           {0, Lateness{}, never},
		"a twentieth of the way is a share of one in 22":                  {30*time.Second + 100*time.Millisecond, Lateness{Due: time.Hour}, 21},
		"and a quarter of the way in lateness is a share of about an 8th": {time.Hour, Lateness{Due: 1750 * time.Millisecond}, 6},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.tokens, TriggersEach(tc.busy, tc.late))
		})
	}
}

func TestTheShareOfBackgroundNeverShrinksWithTimeOrLateness(t *testing.T) {
	t.Parallel()
	const step = 250 * time.Millisecond
	for busy := time.Duration(0); busy < time.Minute; busy += step {
		for late := time.Duration(0); late < 10*time.Second; late += step {
			each := TriggersEach(busy, Lateness{Waited: late})
			require.GreaterOrEqual(t, each, 1)
			require.LessOrEqual(t, TriggersEach(busy, Lateness{Waited: late + step}), each)
			if busy >= First {
				require.LessOrEqual(t, TriggersEach(busy+step, Lateness{Waited: late}), each)
			}
		}
	}
}

func TestTokensThatTriggersLeaveOverAreForBackgroundWhereItHasHalf(t *testing.T) {
	t.Parallel()
	require.Zero(t, pauseOf(1))
	require.InDelta(t, float64(Quiet), float64(pauseOf(Share)), float64(Quiet)/20)
	require.InDelta(t, float64(Quiet), float64(pauseOf(never)), float64(time.Millisecond))
}
