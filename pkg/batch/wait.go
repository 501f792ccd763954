package batch

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

const (
	shortestBackoff = 100 * time.Millisecond
	longestBackoff  = 10 * time.Second
)

// backoff grows from failure to failure, with decorrelated jitter: a random time between the shortest and three times the
// one before (AWS Architecture Blog, "Exponential Backoff And Jitter").
type backoff struct {
	last time.Duration
}

func newBackoff() *backoff { return &backoff{last: shortestBackoff} }

func (b *backoff) next() time.Duration {
	b.last = min(shortestBackoff+rand.N(3*b.last-shortestBackoff), longestBackoff)
	return b.last
}

// pause waits for d, and reports false as soon as ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
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

// outlive returns a context that has the values of ctx and ends a grace time after it: what is being committed when the
// process is told to stop must not be aborted by that. The returned function ends it earlier.
func outlive(ctx context.Context, grace time.Duration) (context.Context, func()) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if pause(life, grace) {
			end(&bounded.TimeoutError{After: grace})
		}
	})
	return life, func() {
		stop()
		end(nil)
	}
}
