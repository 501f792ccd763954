package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheReplayIsBoundByBucketWindowAndAnswers(t *testing.T) {
	t.Parallel()
	stalled := slices.Repeat([]time.Duration{0}, triggered)
	for i := 20; i < 25; i++ {
		stalled[i] = time.Second
	}
	for sentence, test := range map[string]struct {
		answers []time.Duration
		want    time.Duration
	}{
		"answers that take no time leave the bucket's 0.8 s":       {slices.Repeat([]time.Duration{0}, triggered), 800 * time.Millisecond},
		"answers of 10 ms are one more at the end":                 {slices.Repeat([]time.Duration{10 * time.Millisecond}, triggered), 810 * time.Millisecond},
		"slow answers are bound by the window":                     {slices.Repeat([]time.Duration{time.Second}, triggered), 10 * time.Second},
		"a stall of the whole window loses the tokens above burst": {stalled, 1520 * time.Millisecond},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, replay(test.answers))
		})
	}
}

func TestTheBoundsOfAQuietMachineAreThePromises(t *testing.T) {
	t.Parallel()
	quiet := slices.Repeat([]time.Duration{4 * time.Millisecond}, triggered)
	require.Equal(t, 100*time.Millisecond, mostFirst(1))
	require.Equal(t, (804*time.Millisecond)*12/10, mostLast(quiet, 1))
	require.Equal(t, 200*time.Millisecond, mostFirst(0.5))
}
