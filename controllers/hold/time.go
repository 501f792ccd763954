package hold

import (
	"context"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// timeReasons are those of what is held by the time alone.
var timeReasons = []string{string(v1alpha1.ReasonWindow), string(v1alpha1.ReasonFreeze)}

func waitsForTime(waiting store.Waiting) bool {
	return slices.ContainsFunc(waiting.Reasons, func(reason string) bool { return slices.Contains(timeReasons, reason) })
}

// timeHas tells whether what waits for a window or for the end of a freeze is not held by
// that any more, or by the other.
func (h *Holder) timeHas(pipeline *v1alpha1.CdPipeline, waiting store.Waiting) bool {
	if !waitsForTime(waiting) {
		return false
	}
	// Of the stages that windows and freezes hold, the first stands for both.
	hold := trigger.TimeHold(pipeline, trigger.StagePre, h.Freeze(), time.Now())
	return slices.ContainsFunc(waiting.Reasons, func(reason string) bool {
		return slices.Contains(timeReasons, reason) && reason != string(hold.Reason)
	})
}

// untilOpen is how long it takes until something that waits for the time may start; 0 where
// nothing does, or nobody knows.
func (h *Holder) untilOpen(ctx context.Context, waiting []store.Waiting, now time.Time) time.Duration {
	var due time.Duration
	for _, one := range waiting {
		if !waitsForTime(one) {
			continue
		}
		if until := h.Freeze().Until; until.After(now) {
			due = sooner(due, until.Sub(now))
		}
		pipeline, err := get(ctx, h.Cache, one)
		if err != nil || pipeline == nil {
			continue // the look at it says so
		}
		windows, err := trigger.ParseWindows(pipeline.Spec.Windows)
		if err != nil {
			continue
		}
		if _, opens := windows.Closed(now); !opens.IsZero() {
			due = sooner(due, opens.Sub(now))
		}
	}
	return due
}
