package bucket

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	at    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	small = Rate{PerSecond: 1, Burst: 2}
)

func TestABucketGrantsWhatItHoldsAndThenItsRate(t *testing.T) {
	t.Parallel()
	s := NewSet(10)
	for range small.Burst {
		_, ok := s.Take("a", small, at)
		require.True(t, ok)
	}
	require.True(t, s.IsEmpty("a", small, at))
	wait, ok := s.Take("a", small, at)
	require.False(t, ok)
	require.Equal(t, time.Second, wait)
	_, ok = s.Take("b", small, at)
	require.True(t, ok, "the others have buckets of their own")
	_, ok = s.Take("a", small, at.Add(time.Second))
	require.True(t, ok)
}

// Requests that come at once wait for each other between reading the clock and taking a token.
func TestWhoHasReadTheClockEarlierAndComesLaterIsGrantedNoTimeTwice(t *testing.T) {
	t.Parallel()
	s, late := NewSet(10), at.Add(time.Second)
	granted := 0
	for range 10 {
		for _, now := range []time.Time{late, at} {
			if _, ok := s.Take("a", small, now); ok {
				granted++
			}
		}
	}
	require.Equal(t, small.Burst, granted)
}

func TestAnotherRateBeginsWithAFullBucket(t *testing.T) {
	t.Parallel()
	s := NewSet(10)
	for range small.Burst {
		_, ok := s.Take("a", small, at)
		require.True(t, ok)
	}
	_, ok := s.Take("a", Rate{PerSecond: 2, Burst: 2}, at)
	require.True(t, ok)
}

func TestTheLongestUnseenBeginsAnew(t *testing.T) {
	t.Parallel()
	s, one := NewSet(2), Rate{PerSecond: 1, Burst: 1}
	for _, key := range []string{"a", "b", "c"} {
		_, ok := s.Take(key, one, at)
		require.True(t, ok)
	}
	require.True(t, s.IsEmpty("c", one, at))
	require.False(t, s.IsEmpty("a", one, at))
}
