// Package adapt observes how fast the API server and the database answer, and writes
// how many triggers are in flight at once, where that is left to it.
package adapt

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/loop"
)

// interval is how often the limit is looked at.
const interval = time.Second

// Limit is the bound that is adapted.
type Limit interface {
	Limit() int
	SetLimit(inFlight int)
}

// Config is what an Adapter needs.
type Config struct {
	// Limit is the pool's.
	Limit Limit
	// Answers returns what was seen of the API server since it was asked last.
	Answers func() limit.Window
	// DatabaseWait returns for how long calls have waited for a connection, and how
	// many connections were acquired, since the start.
	DatabaseWait func() (total time.Duration, acquired int64)
	// Log is the logger.
	Log logr.Logger
}

// Adapter moves the limit while it is automatic.
type Adapter struct {
	Config
	*loop.Loop
	mu       sync.Mutex
	adaptive *limit.Adaptive // nil while the limit is fixed
	ceiling  int
	waited   time.Duration
	acquired int64
}

// New returns an adapter that leaves the limit as it is.
func New(config Config) *Adapter {
	a := &Adapter{Config: config}
	a.Loop = loop.New(loop.Config{Name: "adapt", Run: a.runOnce, Interval: interval, Log: config.Log})
	return a
}

// Fix sets the limit, and leaves it so.
func (a *Adapter) Fix(inFlight int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.adaptive = nil
	a.Limit.SetLimit(inFlight)
}

// Adapt moves the limit from where it is, between 1 and the ceiling.
func (a *Adapter) Adapt(ceiling int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ceiling = ceiling
	if a.adaptive == nil {
		a.adaptive = limit.NewAdaptive(a.Limit.Limit())
	}
	a.Limit.SetLimit(a.adaptive.Next(limit.Window{}, ceiling))
}

// runOnce moves an automatic limit by what was seen since the last run. What was seen
// while the limit was fixed is thrown away.
func (a *Adapter) runOnce(context.Context) (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	window := a.Answers()
	window.DatabaseWait = a.databaseWait()
	if a.adaptive == nil {
		return 0, nil
	}
	before := a.Limit.Limit()
	if next := a.adaptive.Next(window, a.ceiling); next != before {
		a.Limit.SetLimit(next)
		a.Log.V(1).Info("limit adapted", "before", before, "after", next, "latency", window.Latency.String(),
			"overrun", window.Overrun, "databaseWait", window.DatabaseWait.String())
	}
	return 0, nil
}

// databaseWait is the mean wait for a connection since the last look.
func (a *Adapter) databaseWait() time.Duration {
	waited, acquired := a.DatabaseWait()
	defer func() { a.waited, a.acquired = waited, acquired }()
	if acquired <= a.acquired {
		return 0
	}
	return (waited - a.waited) / time.Duration(acquired-a.acquired)
}
