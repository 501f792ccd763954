package main

import (
	"slices"
	"time"

	"github.com/penstock-cd/penstock/test/cpushare"
)

// The limits that the demo runs with: Penstock's defaults.
const (
	qps, burst, batchSize = 50, 10, 5
)

// first is the most time to the first Workflow, on a machine that is ours alone.
const first = 100 * time.Millisecond

// mostFirst is first, longer by the share of the machine that others use.
func mostFirst(share float64) time.Duration { return cpushare.Scale(first, share) }

// mostLast is a fifth more than what the token bucket and the API server's own
// answers allow, longer by the share of the machine that others use.
func mostLast(answers []time.Duration, share float64) time.Duration {
	return cpushare.Scale(replay(answers)*12/10, share)
}

// replay is how long the answers take when the next request is sent as soon as the
// token bucket has a token and one of batchSize slots is free. The bucket is the
// generic cell rate algorithm (ITU-T I.371): a token every interval, burst ahead.
func replay(answers []time.Duration) time.Duration {
	const interval = time.Second / qps
	var slots [batchSize]time.Duration // when each is free
	var due, end time.Duration         // due is the theoretical arrival time
	for _, answer := range answers {
		slices.Sort(slots[:])
		begin := max(slots[0], due-(burst-1)*interval)
		due = max(due, begin) + interval
		slots[0] = begin + answer
		end = max(end, slots[0])
	}
	return end
}
