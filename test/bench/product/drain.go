package product

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
)

// drainTimeout bounds one Drain.
const drainTimeout = 10 * time.Minute

// Drain dispatches Pending rows, so many at once, until this many Workflows were
// made, and returns how long that took: from the dispatcher's start to the answer
// to the last create. Before it returns, every row says so.
func (p *Product) Drain(ctx context.Context, inFlight, workflows int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	counter := NewCounter(p.Submitter, workflows)
	dispatcher := dispatch.New(dispatch.Config{
		Lane: store.Lane{Kind: store.KindCd}, Queue: p.Store, Submitter: counter, Limit: inFlight,
		Lease: p.settings.TriggerLease, Grace: p.settings.ShutdownGracePeriod,
		Busy: func(busy bool) { p.bucket.SetBusy(lane, busy) },
		Held: func() {}, Moved: func([]store.Moved) {}, Log: logr.Discard(),
	})
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- dispatcher.Start(running) }()
	last, err := counter.Await(ctx)
	stop()
	return last.Sub(began), errors.Join(err, <-ended)
}

// Lease is how long a claim lasts by default.
func (p *Product) Lease() time.Duration { return p.settings.TriggerLease }

// Counter is a Submitter that knows when enough Workflows were made.
type Counter struct {
	dispatch.Submitter
	want int

	mu    sync.Mutex
	made  int
	last  time.Time
	err   error // the last one
	ready chan struct{}
}

// NewCounter counts what a Submitter makes.
func NewCounter(submitter dispatch.Submitter, want int) *Counter {
	return &Counter{Submitter: submitter, want: want, ready: make(chan struct{})}
}

// Submit implements dispatch.Submitter.
func (c *Counter) Submit(ctx context.Context, claim store.Claim) (argo.Made, error) {
	made, err := c.Submitter.Submit(ctx, claim)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.err = err
		return argo.Made{}, err
	}
	c.made++
	if c.made == c.want {
		c.last = time.Now()
		close(c.ready)
	}
	return made, nil
}

// Await returns when the last Workflow was made, once it was.
func (c *Counter) Await(ctx context.Context) (time.Time, error) {
	select {
	case <-c.ready:
		return c.last, nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Time{}, errors.Join(fmt.Errorf("%d of %d Workflows were made: %w", c.made, c.want, ctx.Err()), c.err)
}
