package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

func TestARateCountsTheLastMinuteAlone(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	r := newRate(began)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for second := range 90 {
		r.add(at(second))
		r.add(at(second))
	}
	count, over := r.count(at(89))
	require.Equal(t, 120, count, "two in each of sixty seconds")
	require.Equal(t, store.RateWindow, over)
	count, _ = r.count(at(119))
	require.Equal(t, 60, count, "half of them are older than a minute")
	count, _ = r.count(at(1000))
	require.Zero(t, count)
}

func TestARateThatHasJustBegunTellsHowShortItsTimeIs(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	r := newRate(began)
	r.add(began)
	count, over := r.count(began.Add(3 * time.Second))
	require.Equal(t, 1, count)
	require.Equal(t, 3*time.Second, over)
}
