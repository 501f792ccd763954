package bounded_test

import (
	"context"
	"maps"
	"slices"
	"time"
)

func (r *poolRun) run(ctx context.Context, task int) error {
	r.mu.Lock()
	r.running[task] = true
	r.mu.Unlock()
	ended := ctx.Done()
	if r.deaf(task) {
		ended = nil
	}
	select {
	case end := <-r.endings[task]:
		return end()
	case <-ended:
		return context.Cause(ctx)
	}
}

func (r *poolRun) done(task int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, task)
	r.ends[task] = text(err)
}

func (r *poolRun) deaf(task int) bool { return r.isDeaf[task] }

func (r *poolRun) now() time.Duration { return time.Since(r.begin) }

// state is what can be seen of the pool.
func (r *poolRun) state() poolState {
	r.mu.Lock()
	defer r.mu.Unlock()
	running := slices.AppendSeq([]int{}, maps.Keys(r.running))
	slices.Sort(running)
	return poolState{
		Limit: r.pool.Limit(), InFlight: r.pool.InFlight(), Free: r.pool.Free(), Peak: r.pool.Peak(),
		Running: running, Answers: maps.Clone(r.answers), Ends: maps.Clone(r.ends),
	}
}
