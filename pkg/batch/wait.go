package batch

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/pause"
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

// outlive returns a context that has the values of ctx and ends a grace time after it: what is being committed when the
// process is told to stop must not be aborted by that. The returned function ends it earlier.
func outlive(ctx context.Context, grace time.Duration) (context.Context, func()) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if pause.For(life, grace) {
			end(&bounded.TimeoutError{After: grace})
		}
	})
	return life, func() {
		stop()
		end(nil)
	}
}
