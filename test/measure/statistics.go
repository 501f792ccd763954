// Package measure observes processes, metrics and times, and computes what a
// benchmark reports of them; it writes nothing.
package measure

import (
	"cmp"
	"slices"
	"time"
)

// Median returns the middle of the values, the lower one of two; the zero value
// of none.
func Median[T cmp.Ordered](values []T) T {
	if len(values) == 0 {
		var none T
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// MedianOf returns the median of one figure of each round.
func MedianOf[R any, T cmp.Ordered](rounds []R, figure func(R) T) T {
	values := make([]T, len(rounds))
	for i, round := range rounds {
		values[i] = figure(round)
	}
	return Median(values)
}

// Percentile returns the smallest of the values that at least so many percent of
// them do not exceed (nearest rank); zero of none.
func Percentile(values []time.Duration, percent int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}

// Milliseconds is a duration as a benchmark's JSON has it.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Span is the time that something took.
type Span struct{ Begin, End time.Time }

// MostAtOnce returns the most spans that overlap. A span that ends when another
// begins does not overlap it.
func MostAtOnce(spans []Span) int {
	type change struct {
		at time.Time
		by int
	}
	changes := make([]change, 0, 2*len(spans))
	for _, span := range spans {
		changes = append(changes, change{span.Begin, 1}, change{span.End, -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), a.by-b.by) })
	now, most := 0, 0
	for _, change := range changes {
		now += change.by
		most = max(most, now)
	}
	return most
}
