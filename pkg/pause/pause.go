// Package pause waits for a time or for the end of a context, whichever comes first.
package pause

import (
	"context"
	"time"
)

// For waits for d, and reports false as soon as ctx has ended.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
