package dispatch

import "time"

const (
	// minBatch and maxBatch bound how many tasks one claim takes.
	minBatch, maxBatch = 20, 200
	// soon and late are the times between two full claims at which the batch is
	// doubled and halved: a claim costs a round trip, and what is claimed can't be
	// overtaken by a build that comes later.
	soon, late = 150 * time.Millisecond, 500 * time.Millisecond
)

// batchLimits is what bounds a batch.
type batchLimits struct {
	inFlight int
	rate     int // per second; 0 is no limit
	lease    time.Duration
}

// least is a few tasks for each slot.
func (l batchLimits) least() int { return l.bound(max(4*l.inFlight, minBatch)) }

// bound is no more than the rate lets through in a quarter of the lease.
func (l batchLimits) bound(rows int) int {
	if l.rate > 0 {
		rows = min(rows, int(float64(l.rate)*l.lease.Seconds()/4))
	}
	return max(min(rows, maxBatch), 1)
}

// batchSizer finds how many tasks a claim takes from how fast claims follow each
// other.
type batchSizer struct {
	size  int
	last  time.Time // of the last claim
	hurry bool      // it was full
}

// next is how many tasks to claim.
func (b *batchSizer) next(limits batchLimits) int {
	b.size = limits.bound(max(b.size, limits.least()))
	return b.size
}

// claimed takes note of a claim, and whether it found as many as it wanted.
func (b *batchSizer) claimed(full bool, at time.Time) {
	since := at.Sub(b.last)
	switch {
	case !full:
		b.size = 0
	case b.hurry && since < soon:
		b.size *= 2
	case since > late:
		b.size /= 2
	}
	b.last, b.hurry = at, full
}
