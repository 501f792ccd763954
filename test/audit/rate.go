package audit

import (
	"slices"
	"time"

	"github.com/penstock-cd/penstock/test/env"
)

// Burst is the size of the smallest token bucket, refilled at rate a second, that
// would have let every one of the requests pass when it came: the meter of the
// generic cell rate algorithm (ITU-T I.371), a bucket that leaks.
func (l Log) Burst(rate float64) float64 {
	ordered := slices.SortedFunc(slices.Values(l), func(a, b env.AuditEvent) int { return a.Received.Compare(b.Received) })
	var level, most float64
	var before time.Time
	for i, event := range ordered {
		if i > 0 {
			level = max(0, level-rate*event.Received.Sub(before).Seconds())
		}
		before = event.Received
		level++
		most = max(most, level)
	}
	return most
}
