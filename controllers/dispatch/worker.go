package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// beatInterval is the pause between two signs of life.
	beatInterval = time.Second
	// lifetime is how long this process counts on its claims after it has sent a sign of
	// life that was heard: a second less than others wait before they take them back, in
	// which requests that are under way come to their end.
	lifetime = store.WorkerSilence - time.Second
)

// errSilent ends submissions whose tasks others may take.
var errSilent = errors.New("the database has not heard of this worker for a while: others may take its claims")

// Workers is the table of the processes that claim.
type Workers interface {
	// Beat says that the worker lives, and what is in force there.
	Beat(ctx context.Context, worker, replica string, state store.WorkerState) error
	// TakeOver gives back what earlier processes of the replica have claimed.
	TakeOver(ctx context.Context, worker, replica string) (int64, error)
}

// Worker is this process as claims name it. Its name is new with each process, so that none
// ever completes another's claim. While a dispatcher runs it tells the database that it
// lives: one that is silent loses its claims to others, and stops submitting before.
type Worker struct {
	// State is what it says of itself with each sign of life. It is set before the worker is
	// used, or never.
	State func() store.WorkerState

	name, replica string
	rows          Workers
	log           logr.Logger

	tookOver bool // only beat touches it

	mu        sync.Mutex
	reclaimed time.Time
	users     int
	end       func()
	life      *life
	begun     chan struct{} // closed, and replaced, when a life begins
}

// life is a time without a silence. What was claimed in an earlier one is given up.
type life struct {
	context.Context
	end   context.CancelCauseFunc
	until time.Time // guarded by Worker.mu
}

// NewWorker returns a worker of a replica, which is named alike after a restart.
func NewWorker(rows Workers, replica string, log logr.Logger) *Worker {
	return &Worker{name: rand.Text(), replica: replica, rows: rows, log: log, begun: make(chan struct{}), State: func() store.WorkerState { return store.WorkerState{} }}
}

// immortal is a worker whose claims end with their leases alone.
func immortal() *Worker {
	w := NewWorker(nil, "", logr.Discard())
	w.life = &life{Context: context.Background()}
	return w
}

// use has the worker beat until the returned function is called by each of its users.
func (w *Worker) use() (leave func()) {
	if w.rows == nil {
		return func() {}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users++; w.users == 1 {
		w.begin()
	}
	return w.leave
}

// reclaims tells one of the dispatchers, once in an interval, to look for tasks of workers that
// died: it looks for those of every lane.
func (w *Worker) reclaims(interval time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.reclaimed) <= interval {
		return false
	}
	w.reclaimed = time.Now()
	return true
}

// begin is called with the lock held.
func (w *Worker) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	beats := loop.New(loop.Config{Name: "worker", Run: w.beat, Interval: beatInterval, EveryReplica: true, Log: w.log})
	go func() {
		defer close(ended)
		_ = beats.Start(ctx)
	}()
	w.end = func() {
		cancel()
		<-ended
	}
}

func (w *Worker) leave() {
	w.mu.Lock()
	w.users--
	end := w.end
	last := w.users == 0
	w.mu.Unlock()
	if last {
		end()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.users == 0 && w.life != nil {
			w.life.end(errSilent)
		}
	}
}

// beat says once that this worker lives. Nothing that the replica had before is claimed by
// a process that runs.
func (w *Worker) beat(ctx context.Context) (time.Duration, error) {
	// Taken before the request, so that by this process's clock a life ends earlier.
	sent := time.Now()
	if err := w.rows.Beat(ctx, w.name, w.replica, w.State()); err != nil {
		return 0, err
	}
	if !w.tookOver {
		taken, err := w.rows.TakeOver(ctx, w.name, w.replica)
		if err != nil {
			return 0, err
		}
		w.tookOver = true
		if taken > 0 {
			w.log.Info("took back what this replica had claimed before its restart", "triggers", taken)
		}
	}
	w.extend(sent.Add(lifetime))
	return 0, nil
}

// extend lets the life last until then, or begins another one.
func (w *Worker) extend(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life != nil && w.life.Err() == nil {
		w.life.until = until
		return
	}
	ctx, end := context.WithCancelCause(context.Background())
	one := &life{Context: ctx, end: end, until: until}
	w.life = one
	time.AfterFunc(time.Until(until), func() { w.expire(one) })
	close(w.begun)
	w.begun = make(chan struct{})
}

// expire ends a life whose time is over, or looks again when it will be.
func (w *Worker) expire(one *life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if left := time.Until(one.until); left > 0 && one.Err() == nil {
		time.AfterFunc(left, func() { w.expire(one) })
		return
	}
	one.end(errSilent)
}

// await returns the life of now, once there is one, or nil when ctx ends.
func (w *Worker) await(ctx context.Context) *life {
	for {
		w.mu.Lock()
		one, begun := w.life, w.begun
		w.mu.Unlock()
		if one != nil && one.Err() == nil {
			return one
		}
		select {
		case <-ctx.Done():
			return nil
		case <-begun:
		}
	}
}

// bound returns a context that ends with the life too.
func (l *life) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l, func() { cancel(errSilent) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
