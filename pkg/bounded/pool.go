package bounded

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Config says what a Pool does with its tasks.
type Config[T any] struct {
	// Limit is how many tasks run at once. Below 1 means 1.
	Limit int

	// Timeout ends the context of a task that runs longer, with a *TimeoutError as its cause. A task that ignores its
	// context keeps its slot, so that Limit stays true. Zero means none.
	Timeout time.Duration

	// Run does one task. Its context is the pool's own: it ends with Timeout or with Shutdown, never with the context
	// given to Go, because a caller that stops feeding must not abort what already runs.
	Run func(ctx context.Context, task T) error

	// Done is told the end of every task that was started, exactly once: nil, the error of Run, a *PanicError, or
	// ErrGoexit. It runs on the task's goroutine before its slot is free; it must not call Go or wait for the pool.
	// A panic in Done is not recovered: nobody would be left to be told.
	Done func(task T, err error)
}

// Pool runs a stream of tasks, at most a limit of them at once. All methods may be called at any time from any goroutine.
type Pool[T any] struct {
	config  Config[T]
	timeout error
	freed   chan struct{}

	// The life of the pool itself, which is no caller's: Shutdown ends it.
	life context.Context
	end  context.CancelCauseFunc

	mu       sync.Mutex
	limit    int
	inFlight int
	peak     int
	closed   bool
	waiting  line[T]
	idle     chan struct{} // closed when nothing is in flight; nil while nobody waits for that
}

// NewPool returns an empty pool. It holds no goroutine while nothing runs. It panics without Run or Done, since a pool
// whose errors go nowhere is a mistake.
func NewPool[T any](config Config[T]) *Pool[T] {
	if config.Run == nil || config.Done == nil {
		panic("bounded: Config needs Run and Done")
	}
	life, end := context.WithCancelCause(context.Background())
	return &Pool[T]{
		config:  config,
		timeout: &TimeoutError{After: config.Timeout},
		freed:   make(chan struct{}, 1),
		life:    life,
		end:     end,
		limit:   max(config.Limit, 1),
	}
}

// Go starts a task as soon as a slot is free, in the order of the calls, and returns nil once it has started: only then
// will Done be called. It returns ctx.Err() when ctx ends first, or ErrClosed after Shutdown.
func (p *Pool[T]) Go(ctx context.Context, task T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ticket, err := p.enter(task)
	if ticket == nil {
		return err
	}
	select {
	case err = <-ticket.answer:
	case <-ctx.Done():
		err = p.leave(ctx, ticket)
	}
	p.waiting.recycle(ticket)
	return err
}

// SetLimit changes how many tasks run at once; below 1 means 1. Raising it starts waiting tasks before it returns;
// lowering it lets running ones end.
func (p *Pool[T]) SetLimit(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = max(n, 1)
	for p.inFlight < p.limit && p.waiting.first != nil {
		p.start(p.waiting.pop(nil))
	}
	p.signal()
}

// Limit returns how many tasks may run at once.
func (p *Pool[T]) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// InFlight returns how many tasks run now. It is above Limit only after the limit was lowered.
func (p *Pool[T]) InFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inFlight
}

// Free returns how many tasks would start without waiting now, never below 0.
func (p *Pool[T]) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.limit-p.inFlight, 0)
}

// Peak returns the most tasks that ever ran at once.
func (p *Pool[T]) Peak() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// Freed receives after slots became free. Several may share one signal, and a slot may be taken again by then: ask Free.
func (p *Pool[T]) Freed() <-chan struct{} { return p.freed }

// Wait blocks until nothing is in flight. The pool goes on taking tasks.
func (p *Pool[T]) Wait() {
	<-p.whenIdle()
}

// Shutdown closes the pool: calls of Go that wait, and later ones, return ErrClosed. It returns nil when the running tasks
// have ended. When ctx ends first it ends their contexts and returns an error that wraps ctx.Err() without waiting any
// longer; Wait waits for them. Calling it again is allowed.
func (p *Pool[T]) Shutdown(ctx context.Context) error {
	p.refuse()
	idle := p.whenIdle()
	defer p.end(ErrClosed)
	select {
	case <-idle:
		return nil
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d tasks still in flight: %w", p.InFlight(), ctx.Err())
	}
}
