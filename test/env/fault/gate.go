package fault

import (
	"context"
	"sync"
)

// Gate holds up whoever passes it while it is shut. It is open at first, and safe
// for concurrent use.
type Gate struct {
	mu   sync.Mutex
	open chan struct{} // closed with the next Open; nil while it is open
}

// Shut shuts the gate.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = make(chan struct{})
	}
}

// Open lets everybody pass who waits.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		close(g.open)
		g.open = nil
	}
}

// Pass returns once the gate is open, or an error when the context ends first.
func (g *Gate) Pass(ctx context.Context) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	if open == nil {
		return ctx.Err()
	}
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
