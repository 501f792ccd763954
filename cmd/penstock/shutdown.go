package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

const (
	// shutdownMargin is what committing needs after the last trigger in flight.
	shutdownMargin = 10 * time.Second
	// shutdownSlack is what the manager may take longer than that.
	shutdownSlack = 2 * time.Second
	// idleShutdown is how long a process may take to end that has begun nothing, such as one
	// whose cache has never been complete.
	idleShutdown = 2 * time.Second
)

// work is what runs until its context ends.
type work struct {
	start func(context.Context) error
	// begun tells whether there may be anything to finish.
	begun atomic.Bool
}

// startBounded runs the work. After the context has ended it waits no longer than the
// grace time, so that the process always ends in time; what was under way then is taken
// up at the next start.
func (w *work) startBounded(ctx context.Context, grace time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- bounded.Protect(func() error { return w.start(ctx) }) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if !w.begun.Load() {
		grace = idleShutdown
	}
	timer := time.NewTimer(grace + shutdownSlack)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
	}
	if !w.begun.Load() {
		return nil
	}
	return fmt.Errorf("the shutdown took longer than %s: what was under way is taken up at the next start", grace+shutdownSlack)
}
