package dispatch

import (
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
)

func TestNoMoreSlotsThanGetATokenInTime(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		limit, rate int
		lease       time.Duration
		want        int
	}{
		"no rate bounds nothing":                            {300, 0, 20 * time.Second, 300},
		"few slots are all served":                          {5, 50, 20 * time.Second, 5},
		"those that are served in half a request's time":    {300, 50, 20 * time.Second, 200},
		"those that are served in half a submission's time": {300, 50, 5 * time.Second, 62},
		"a low rate leaves one":                             {300, 1, time.Second, 1},
	} {
		d := New(Config{Limit: test.limit, RatePerSecond: test.rate, Lease: test.lease, Log: logr.Discard()})
		require.Equal(t, test.want, d.pool.Limit(), sentence)
		require.Equal(t, test.limit, d.Limit(), "what was asked for")
	}
}
