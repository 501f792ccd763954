package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAClaimTakesAFewRowsForEachSlotButNoMoreThanTheRateLetsThrough(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		limit, rate int
		lease       time.Duration
		want        int
	}{
		"one slot still fetches enough for a round trip":           {1, 0, time.Minute, minBatch},
		"the default is limited by its slots":                      {5, 50, time.Minute, 20},
		"four rows for each slot":                                  {10, 0, time.Minute, 40},
		"a claim has an upper bound":                               {1000, 0, time.Minute, maxBatch},
		"a slow API makes it as many as pass in a quarter lease":   {100, 4, time.Minute, 60},
		"a very slow API still gets one":                           {100, 1, time.Second, 1},
		"a rate that the lease has room for does not limit at all": {10, 1000, time.Minute, 40},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, (&batchSizer{}).next(batchLimits{inFlight: tc.limit, rate: tc.rate, lease: tc.lease}))
		})
	}
}

func TestClaimsThatFollowEachOtherFastGrow(t *testing.T) {
	t.Parallel()
	sizer, limits, now := &batchSizer{}, batchLimits{inFlight: 5, lease: time.Minute}, time.Now()
	claim := func(after time.Duration, full bool) int {
		size := sizer.next(limits)
		now = now.Add(after)
		sizer.claimed(full, now)
		return size
	}
	require.Equal(t, 20, claim(0, true))
	require.Equal(t, 20, claim(soon/2, true), "one is no haste")
	require.Equal(t, 40, claim(soon/2, true))
	require.Equal(t, 80, claim(soon/2, true))
	require.Equal(t, 160, claim(soon/2, true))
	require.Equal(t, 200, claim(soon/2, true), "there is an upper bound")
	require.Equal(t, 200, claim(2*late, true))
	require.Equal(t, 100, claim(soon+1, true))
	require.Equal(t, 100, claim(soon/2, false), "the queue is empty")
	require.Equal(t, 20, claim(soon/2, true))
}
