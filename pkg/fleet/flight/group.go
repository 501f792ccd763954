// Package flight makes equal requests once, whoever asks, and bounds how many are under way.
// It writes nothing of its own.
//
// A request belongs to the group and not to who has asked: that one may have a deadline,
// and what comes later is there for the next.
package flight

import (
	"context"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// Config is what a Group needs.
type Config[K comparable, V any] struct {
	// Limit is how many requests are under way at once; below 1 means 1.
	Limit int
	// Behind is how many of them may be requests that nobody waits for; below 1 means Limit.
	Behind int
	// Timeout bounds each of them, once it has begun. 0 means none.
	Timeout time.Duration
	// Run makes one request. It may panic: that is an error like any other.
	Run func(ctx context.Context, key K) (V, error)
	// OnEnd is told the end of each request, before those who wait for it are. Optional.
	OnEnd func(key K, value V, err error)
}

// Outcome is the end of one request.
type Outcome[V any] struct {
	// Slot is the one that was given to Start.
	Slot  int
	Value V
	Err   error
}

// Want is one request that somebody wants.
type Want[K comparable] struct {
	// Slot is for the caller to know the answer by.
	Slot int
	Key  K
	// Behind says that nobody waits for it: it leaves slots to others.
	Behind bool
}

// Group is requests that are under way, or wait for a slot. It is safe for concurrent use.
type Group[K comparable, V any] struct {
	config Config[K, V]
	pool   *bounded.Pool[*request[K, V]]
	life   context.Context //nolint:containedctx // requests end with the group, whoever has asked for them
	end    context.CancelFunc

	behind chan struct{} // holds a token for each request under way that nobody waits for

	mu       sync.Mutex
	isClosed bool
	feeders  sync.WaitGroup
	running  map[K]*request[K, V]
}

type request[K comparable, V any] struct {
	key     K
	value   V
	waiting []waiter[V]
	// isTaken is true from when a feeder has taken it to start it, isBehind where it has a
	// token of Group.behind.
	isTaken, isBehind bool
}

type waiter[V any] struct {
	slot     int
	outcomes chan<- Outcome[V]
}

// New returns a group in which nothing is under way. It panics without Run.
func New[K comparable, V any](config Config[K, V]) *Group[K, V] {
	if config.Run == nil {
		panic("flight: Config needs Run")
	}
	if config.Behind < 1 {
		config.Behind = max(config.Limit, 1)
	}
	g := &Group[K, V]{config: config, running: map[K]*request[K, V]{}, behind: make(chan struct{}, config.Behind)}
	g.life, g.end = context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	g.pool = bounded.NewPool(bounded.Config[*request[K, V]]{Limit: config.Limit, Timeout: config.Timeout, Run: g.run, Done: g.done})
	return g
}

// Start makes the requests, or joins those that are made already, and returns at once with
// the channel that each outcome is sent to, as they come. Nobody needs to receive them.
// One that waits behind others does so no longer once somebody waits for it. After Close
// the outcomes are context.Canceled.
func (g *Group[K, V]) Start(wants []Want[K]) <-chan Outcome[V] {
	outcomes := make(chan Outcome[V], len(wants))
	g.mu.Lock()
	defer g.mu.Unlock()
	var begin, behind []*request[K, V]
	for _, want := range wants {
		if g.isClosed {
			outcomes <- Outcome[V]{Slot: want.Slot, Err: context.Canceled}
			continue
		}
		wanted := g.running[want.Key]
		isNew := wanted == nil
		if isNew {
			wanted = &request[K, V]{key: want.Key}
			g.running[want.Key] = wanted
		}
		wanted.waiting = append(wanted.waiting, waiter[V]{want.Slot, outcomes})
		switch {
		case want.Behind && isNew:
			behind = append(behind, wanted)
		case !want.Behind && !wanted.isTaken:
			begin = append(begin, wanted)
		}
	}
	if len(begin) > 0 {
		g.feeders.Go(func() { g.feed(begin) })
	}
	if len(behind) > 0 {
		g.feeders.Go(func() { g.feedBehind(behind) })
	}
	return outcomes
}

// feed starts requests as slots become free. The pool takes them in turn from all who feed
// it, so that a long list keeps no short one waiting.
func (g *Group[K, V]) feed(requests []*request[K, V]) {
	for _, one := range requests {
		if g.take(one, false) {
			g.begin(one)
		}
	}
}

// feedBehind starts requests that nobody waits for, as many at once as Config.Behind.
func (g *Group[K, V]) feedBehind(requests []*request[K, V]) {
	for _, one := range requests {
		select {
		case g.behind <- struct{}{}:
		case <-g.life.Done(): // begin tells of the end
		}
		if g.take(one, g.life.Err() == nil) {
			g.begin(one)
			continue
		}
		g.release()
	}
}

// take returns true to the feeder that is to start a request.
func (g *Group[K, V]) take(one *request[K, V], isBehind bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if one.isTaken {
		return false
	}
	one.isTaken, one.isBehind = true, isBehind
	return true
}

// release gives a token back, where there is one: after the end there may be none.
func (g *Group[K, V]) release() {
	select {
	case <-g.behind:
	default:
	}
}

func (g *Group[K, V]) begin(one *request[K, V]) {
	if err := g.pool.Go(g.life, one); err != nil {
		g.done(one, context.Canceled)
	}
}

func (g *Group[K, V]) run(ctx context.Context, one *request[K, V]) (err error) {
	one.value, err = g.config.Run(ctx, one.key)
	return err
}

func (g *Group[K, V]) done(one *request[K, V], err error) {
	if g.config.OnEnd != nil {
		g.config.OnEnd(one.key, one.value, err)
	}
	g.mu.Lock()
	delete(g.running, one.key)
	waiting, isBehind := one.waiting, one.isBehind
	g.mu.Unlock()
	if isBehind {
		g.release()
	}
	for _, w := range waiting {
		w.outcomes <- Outcome[V]{Slot: w.slot, Value: one.value, Err: err}
	}
}

// IsIdle tells whether nothing is under way.
func (g *Group[K, V]) IsIdle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.running) == 0
}

// Close ends all requests, and returns when none is left.
func (g *Group[K, V]) Close() {
	g.mu.Lock()
	g.isClosed = true
	g.mu.Unlock()
	g.end()
	g.feeders.Wait()
	_ = g.pool.Shutdown(g.life) // has ended: the requests are cut
	g.pool.Wait()
}
