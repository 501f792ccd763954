package bounded_test

import "sync/atomic"

// gauge counts what runs now, and the most that ever did.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) enter() {
	now := g.now.Add(1)
	for most := g.most.Load(); now > most; most = g.most.Load() {
		if g.most.CompareAndSwap(most, now) {
			return
		}
	}
}

func (g *gauge) leave() { g.now.Add(-1) }
