package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// garbage is how many bytes the heap may gather beyond what lives. Most of what
	// lives in a large cluster is the cache, which stays: Go's own rule would keep as
	// much again for garbage.
	garbage = 10 << 20
	// leastPercent and mostPercent bound GOGC: a large heap is not collected all the
	// time, and a small one as Go would.
	leastPercent, mostPercent = 20, 100
	// garbageInterval is how often it is adapted to what lives.
	garbageInterval = 250 * time.Millisecond

	liveBytes = "/gc/heap/live:bytes"
)

// boundGarbage keeps GOGC at what garbage asks for until the context ends, unless the
// operator has set GOGC.
func boundGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample, percent := []metrics.Sample{{Name: liveBytes}}, mostPercent
	wait.UntilWithContext(ctx, func(context.Context) {
		metrics.Read(sample)
		if next := percentOf(sample[0].Value.Uint64()); next != percent {
			debug.SetGCPercent(next)
			percent = next
		}
	}, garbageInterval)
}

// percentOf is GOGC for a heap of which so many bytes live.
func percentOf(live uint64) int {
	if live <= garbage {
		return mostPercent
	}
	return max(int(100*garbage/live), leastPercent)
}
