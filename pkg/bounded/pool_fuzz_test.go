package bounded_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// poolTimeout is what a task may take; the clock moves by a few units of it.
const poolTimeout = 5 * time.Nanosecond

// mostBytes bounds one run, so that a fuzzer tries many instead of long ones.
const mostBytes = 200

// FuzzPool reads any bytes as calls of a pool: tasks that come, wait, are given up,
// end well, badly, late or never, a limit that goes up and down, and shutdowns.
// After each the pool is where its model is.
func FuzzPool(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 0, 3, 0, 3, 1, 3, 2, 3, 3})       // tasks that end in every way
	f.Add([]byte{1, 0, 0, 0, 0, 4, 3, 4, 0, 4, 6, 0, 0})       // a limit that goes up and down
	f.Add([]byte{1, 0, 0, 0, 2, 1, 2, 0, 1, 3, 0})             // waits that are given up
	f.Add([]byte{2, 0, 7, 0, 0, 6, 4, 6, 4, 7, 6, 4, 6, 4, 0}) // timeouts, and the deaf
	f.Add([]byte{1, 0, 7, 0, 5, 0, 0, 5, 1, 3, 0})             // shutdowns
	f.Fuzz(func(t *testing.T, calls []byte) {
		calls = calls[:min(len(calls), mostBytes)]
		synctest.Test(t, func(t *testing.T) { newPoolRun(t, calls).all() })
	})
}

// poolRun is one pool, its model and the calls to make.
type poolRun struct {
	t     *testing.T
	calls []byte
	begin time.Time
	pool  *bounded.Pool[int]
	model *poolModel
	// tasks is how many were offered. For each: how it is ended, how its wait is
	// given up, and whether it ignores its context.
	tasks   int
	endings []chan func() error
	cancels []context.CancelFunc
	isDeaf  []bool

	mu            sync.Mutex
	running       map[int]bool
	answers, ends map[int]string
}

func newPoolRun(t *testing.T, calls []byte) *poolRun {
	r := &poolRun{t: t, calls: calls, begin: time.Now(), running: map[int]bool{}, answers: map[int]string{}, ends: map[int]string{}}
	limit := r.pick(7) - 1
	r.model = newPoolModel(limit)
	r.pool = bounded.NewPool(bounded.Config[int]{Limit: limit, Timeout: poolTimeout, Run: r.run, Done: r.done})
	return r
}

func (r *poolRun) all() {
	for len(r.calls) > 0 {
		r.step()
		synctest.Wait()
		require.Equal(r.t, r.model.state(), r.state())
	}
	for task := range r.tasks {
		r.cancels[task]()
	}
	synctest.Wait()
	for _, task := range r.model.running {
		r.endings[task] <- func() error { return nil }
	}
	r.pool.Wait()
	require.Zero(r.t, r.pool.InFlight())
}

// pick takes a number below n from the calls; 0 when there are none left.
func (r *poolRun) pick(n int) int {
	if len(r.calls) == 0 {
		return 0
	}
	chosen := int(r.calls[0]) % n
	r.calls = r.calls[1:]
	return chosen
}

func (r *poolRun) step() {
	switch r.pick(8) {
	case 0:
		r.offer(false)
	case 1: // a call whose context has ended starts nothing
		ctx, cancel := context.WithCancel(r.t.Context())
		cancel()
		require.ErrorIs(r.t, r.pool.Go(ctx, -1), context.Canceled)
	case 2:
		if waiting := r.model.waiting; len(waiting) > 0 {
			task := waiting[r.pick(len(waiting))]
			r.cancels[task]()
			r.model.cancel(task)
		}
	case 3:
		if running := r.model.running; len(running) > 0 {
			r.end(running[r.pick(len(running))])
		}
	case 4:
		limit := r.pick(8) - 1
		r.pool.SetLimit(limit)
		r.model.setLimit(limit, r.now())
	case 5:
		r.shutdown(r.pick(2) == 1)
	case 6:
		from, by := r.now(), time.Duration(r.pick(8))
		time.Sleep(by)
		r.model.advance(from, from+by, poolTimeout, r.deaf)
	case 7:
		r.offer(true)
	}
}

func (r *poolRun) offer(deaf bool) {
	task := r.tasks
	ctx, cancel := context.WithCancel(r.t.Context())
	r.tasks++
	r.endings = append(r.endings, make(chan func() error))
	r.cancels = append(r.cancels, cancel)
	r.isDeaf = append(r.isDeaf, deaf)
	go func() {
		answer := text(r.pool.Go(ctx, task))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.answers[task] = answer
	}()
	r.model.offer(task, r.now())
}

func (r *poolRun) end(task int) {
	ways := []struct {
		how string
		do  func() error
	}{
		{"<nil>", func() error { return nil }},
		{"no template", func() error { return errors.New("no template") }},
		{"panic poison", func() error { panic("poison") }},
		{text(bounded.ErrGoexit), func() error { runtime.Goexit(); return nil }},
	}
	way := ways[r.pick(len(ways))]
	r.endings[task] <- way.do
	r.model.end(task, way.how, r.now())
}

func (r *poolRun) shutdown(atOnce bool) {
	ctx, cancel := context.WithCancel(r.t.Context())
	if atOnce {
		cancel()
	}
	wasRunning := len(r.model.running) > 0
	go func() {
		defer cancel()
		err := r.pool.Shutdown(ctx)
		if atOnce && wasRunning {
			require.ErrorIs(r.t, err, context.Canceled)
			return
		}
		require.NoError(r.t, err)
	}()
	r.model.shutdown(atOnce, r.deaf, r.now())
}
