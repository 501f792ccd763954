package bounded

import (
	"context"
	"sync"
	"time"
)

// Result is the answer for one input.
type Result[Out any] struct {
	Value Out   // what fn returned; its zero value when fn didn't return in time
	Err   error // nil, what fn returned, a *PanicError, a *TimeoutError, ErrGoexit, or the caller's ctx.Err()
}

// Map calls fn for every input, at most limit at once (below 1 means 1), and returns the answers in the order of the
// inputs: always as many as there are inputs. Some of them being errors is a normal outcome, and stops nothing.
//
// An input that has no answer within timeout (0 means no limit) is answered with a *TimeoutError at once; when ctx ends,
// Map returns at once, with ctx.Err() for every input that has no answer. A fn that ignores its context is left behind
// then: it gives its slot to the next input, what it returns later goes nowhere, and its goroutine ends with it. Where
// fn honours its context nothing is left behind.
func Map[In, Out any](
	ctx context.Context, limit int, timeout time.Duration, inputs []In, fn func(context.Context, In) (Out, error),
) []Result[Out] {
	f := &fanOut[In, Out]{
		ctx:     ctx,
		timeout: timeout,
		inputs:  inputs,
		fn:      fn,
		results: make([]Result[Out], len(inputs)),
		settled: make([]bool, len(inputs)),
		open:    len(inputs),
		all:     make(chan struct{}),
	}
	if len(inputs) == 0 {
		return f.results
	}
	for range min(max(limit, 1), len(inputs)) {
		go f.work()
	}
	select {
	case <-f.all:
	case <-ctx.Done():
		f.abandon()
	}
	return f.results
}

// ForEach is Map for work that has no result but its error: one for each input, nil where it went well.
func ForEach[In any](
	ctx context.Context, limit int, timeout time.Duration, inputs []In, fn func(context.Context, In) error,
) []error {
	results := Map(ctx, limit, timeout, inputs, func(ctx context.Context, input In) (struct{}, error) {
		return struct{}{}, fn(ctx, input)
	})
	errs := make([]error, len(results))
	for i, result := range results {
		errs[i] = result.Err
	}
	return errs
}

// fanOut is one call of Map. Its context lives as long as that call.
type fanOut[In, Out any] struct {
	ctx     context.Context
	timeout time.Duration
	inputs  []In
	fn      func(context.Context, In) (Out, error)
	all     chan struct{} // closed when every input is answered

	mu      sync.Mutex
	next    int // first input that nobody has begun
	open    int // inputs without an answer
	results []Result[Out]
	settled []bool
}

// work answers one input after the other, until none is left or its slot was given away.
func (f *fanOut[In, Out]) work() {
	for mine := true; mine; {
		i, ok := f.claim()
		if !ok {
			return
		}
		mine = f.run(i)
	}
}

// claim returns the next input to work on. None is begun after ctx has ended.
func (f *fanOut[In, Out]) claim() (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == len(f.inputs) || f.ctx.Err() != nil {
		return 0, false
	}
	f.next++
	return f.next - 1, true
}

// run answers one input, and reports whether the caller still has its slot. A fn that ends its goroutine takes the worker
// with it, so another one goes on in its place.
func (f *fanOut[In, Out]) run(i int) (mine bool) {
	ctx, release := f.watch(i)
	result, exited := Result[Out]{Err: ErrGoexit}, true
	defer func() {
		release()
		mine = f.answer(i, result)
		if exited && mine {
			go f.work()
		}
	}()
	result = f.call(ctx, i)
	exited = false
	return mine
}

func (f *fanOut[In, Out]) call(ctx context.Context, i int) (result Result[Out]) {
	defer recovered(&result.Err)
	result.Value, result.Err = f.fn(ctx, f.inputs[i])
	return result
}

// watch returns the context for one input, with somebody who answers in its place when it is late.
func (f *fanOut[In, Out]) watch(i int) (ctx context.Context, release func()) {
	if f.timeout <= 0 {
		return f.ctx, nothing
	}
	late := &TimeoutError{After: f.timeout}
	ctx, cancel := context.WithTimeoutCause(f.ctx, f.timeout, late)
	stop := context.AfterFunc(ctx, func() {
		if f.ctx.Err() == nil && f.answer(i, Result[Out]{Err: late}) {
			f.work()
		}
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// nothing is a function of the package since a literal inside a generic method is allocated at every call.
func nothing() {}

// answer settles one input, and reports whether it was still open.
func (f *fanOut[In, Out]) answer(i int, result Result[Out]) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled[i] {
		return false
	}
	f.settled[i], f.results[i] = true, result
	f.open--
	if f.open == 0 {
		close(f.all)
	}
	return true
}

// abandon settles everything that is open with the error of the context; later answers find nothing open.
func (f *fanOut[In, Out]) abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.settled {
		if !f.settled[i] {
			f.settled[i], f.results[i] = true, Result[Out]{Err: f.ctx.Err()}
		}
	}
}
