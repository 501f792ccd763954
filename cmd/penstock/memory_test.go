package main

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const mebibyte = 1 << 20

func TestGarbageIsBoundedWhateverLives(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 100, mebibyte: 100, 10 * mebibyte: 100, 11 * mebibyte: 90, 20 * mebibyte: 50, 40 * mebibyte: 25,
		50 * mebibyte: 20, 51 * mebibyte: 20, 1024 * mebibyte: 20,
	} {
		require.Equal(t, want, percentOf(live), "%d MiB", live/mebibyte)
	}
}

func TestTheRuntimeTellsWhatLives(t *testing.T) {
	t.Parallel()
	sample := []metrics.Sample{{Name: liveBytes}}
	metrics.Read(sample)
	require.Equal(t, metrics.KindUint64, sample[0].Value.Kind())
}

// The next two change the process's GOGC, and do not run beside others.

func TestGOGCFollowsWhatLives(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "")
	cache := make([]byte, 64*mebibyte)
	debug.FreeOSMemory() // collects
	go boundGarbage(t.Context())
	require.Eventually(t, func() bool {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		percent := sample[0].Value.Uint64()
		return percent >= leastPercent && percent <= 25
	}, 10*time.Second, 10*time.Millisecond)
	cache[0] = 1
}

func TestGOGCOfTheOperatorStays(t *testing.T) {
	t.Setenv("GOGC", "80")
	before := debug.SetGCPercent(80)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	boundGarbage(t.Context()) // returns at once
	require.Equal(t, 80, debug.SetGCPercent(80))
}
