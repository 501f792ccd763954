package trigger

import (
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// retryFirst and retryMost bound the pause before a stage is tried again.
	retryFirst, retryMost = 30 * time.Second, time.Hour
	// maxShift keeps the doubled pause from overflowing: retryMost doubled so often fits
	// into a Duration.
	maxShift = 20
)

// RetryAfter returns the pause before the next attempt of a stage whose attempt, counted
// from 1, has failed; false where there is none left.
func RetryAfter(pipeline *v1alpha1.CdPipeline, stage Stage, attempt int32) (time.Duration, bool) {
	spec := StageSpec(pipeline, stage)
	if spec == nil || spec.Retries == nil || attempt > spec.Retries.Max {
		return 0, false
	}
	first := retryFirst
	if spec.Retries.Backoff != nil {
		first = spec.Retries.Backoff.Duration
	}
	return min(min(first, retryMost)<<min(max(attempt-1, 0), maxShift), retryMost), true
}
