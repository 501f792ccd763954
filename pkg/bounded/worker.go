package bounded

import "context"

// enter starts the task, or returns its ticket in the line, or neither when the pool is closed. While a task is in the
// line all slots are taken, so nobody overtakes it.
func (p *Pool[T]) enter(task T) (*ticket[T], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if p.inFlight < p.limit {
		p.start(task)
		return nil, nil
	}
	return p.waiting.push(task), nil
}

// leave gives a place in the line up. The task may have been started, or refused, meanwhile; then that is the answer.
func (p *Pool[T]) leave(ctx context.Context, t *ticket[T]) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case err := <-t.answer:
		return err
	default:
		p.waiting.remove(t)
		return ctx.Err()
	}
}

// start takes a slot. The caller holds the lock.
func (p *Pool[T]) start(task T) {
	p.inFlight++
	p.peak = max(p.peak, p.inFlight)
	go p.work(task)
}

// work runs tasks in one slot until nobody waits for it: taking the next from the line is cheaper than a new goroutine.
func (p *Pool[T]) work(task T) {
	exited := true
	defer func() {
		if !exited {
			return
		}
		if task, more := p.next(); more {
			go p.work(task)
		}
	}()
	for more := true; more; task, more = p.next() {
		p.run(task)
	}
	exited = false
}

// run tells Done how the task ended, also when the task ends its goroutine.
func (p *Pool[T]) run(task T) {
	err := ErrGoexit
	defer func() { p.config.Done(task, err) }()
	err = p.call(task)
}

func (p *Pool[T]) call(task T) (err error) {
	defer recovered(&err)
	if p.config.Timeout <= 0 {
		return p.config.Run(p.life, task)
	}
	ctx, cancel := context.WithTimeoutCause(p.life, p.config.Timeout, p.timeout)
	defer cancel()
	return p.config.Run(ctx, task)
}

// next hands the slot to the first in the line, or frees it.
func (p *Pool[T]) next() (task T, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inFlight <= p.limit && p.waiting.first != nil {
		return p.waiting.pop(nil), true
	}
	p.inFlight--
	p.signal()
	if p.inFlight == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
	return task, false
}

// signal tells Freed when there is a free slot. The caller holds the lock.
func (p *Pool[T]) signal() {
	if p.inFlight >= p.limit {
		return
	}
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// refuse closes the pool for those in the line and all that come later.
func (p *Pool[T]) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for p.waiting.first != nil {
		p.waiting.pop(ErrClosed)
	}
}

// whenIdle returns a channel that is closed once nothing is in flight.
func (p *Pool[T]) whenIdle() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle
	if idle == nil {
		idle = make(chan struct{})
		if p.inFlight == 0 {
			close(idle)
			return idle
		}
		p.idle = idle
	}
	return idle
}
