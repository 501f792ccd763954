package dispatch

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// pollInterval is how long an idle dispatcher waits before it looks whether a
	// task's back-off is over; after idleTime without any task it is idleInterval.
	pollInterval, idleTime, idleInterval = time.Second, 30 * time.Second, 5 * time.Second
	// probePause is the least time that an idle dispatcher waits before it looks whether a
	// probe is due: one that is may wait for its namespace's share.
	probePause = 200 * time.Millisecond
	// shortestPause is the least time between two claims while the API server fails.
	shortestPause = 5 * time.Millisecond
	// ahead is how many claimed tasks wait for a slot while the next are claimed.
	ahead = minBatch / 2
	// reclaimInterval is the longest pause between two looks for tasks of workers that died,
	// by whichever lane.
	reclaimInterval = 2 * time.Second
)

// run claims and feeds the pool until the context ends. The next tasks are claimed
// while the last of those before are still being started, so that no slot waits for
// the database.
func (d *Dispatcher) run(ctx context.Context) {
	tasks := make(chan task, ahead)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		d.feed(ctx, tasks)
	}()
	var learned time.Time
	busy := time.Now() // when there was a task last
	for ctx.Err() == nil {
		life := d.Worker.await(ctx)
		if life == nil {
			break
		}
		if d.Worker.reclaims(min(d.Lease/4, reclaimInterval)) {
			d.reclaim(ctx)
		}
		if time.Since(learned) > d.Lease/4 {
			d.learn(ctx)
			learned = time.Now()
		}
		claimed, more, err := d.claim(ctx, life)
		if err != nil && ctx.Err() == nil {
			d.Log.Error(err, "claim failed, will retry")
		}
		for _, next := range claimed {
			tasks <- next
		}
		if len(claimed) > 0 || more || d.pool.InFlight() > 0 {
			busy = time.Now()
		}
		if empty := len(claimed) == 0 && !more; empty || d.fails() {
			d.idle(ctx, len(tasks), d.pause(time.Since(busy), empty))
		}
	}
	close(tasks)
	<-fed
}

// claim takes the next batch, or while the backlog gate is closed what is to be ended. More
// tells that there may be more although it is empty.
func (d *Dispatcher) claim(ctx context.Context, life *life) (tasks []task, more bool, err error) {
	wanted := d.size.next(batchLimits{inFlight: d.pool.Limit(), rate: int(d.rate.Load()), lease: d.Lease})
	all, active, err := d.countActive(ctx)
	if err != nil {
		return nil, false, err
	}
	most, ending := d.room(wanted, all), wanted
	if d.fails() {
		most, ending = min(most, 1), 1 // to see whether the API server answers again
	}
	if most == 0 {
		tasks, err = d.claimEnding(ctx, life, ending)
		return tasks, false, err
	}
	// Taken before the request, so that by this process's clock the lease ends
	// before it does by the database's.
	claimed := time.Now()
	claims, more, err := d.claimAll(ctx, most, active)
	if len(claims) < most && !more && err == nil {
		d.gate.Drained()
	}
	d.size.claimed(len(claims) == wanted, claimed)
	d.metrics.batchSize.Observe(float64(len(claims)))
	d.setBusy(len(claims) > 0 || d.pool.InFlight() > 0)
	return d.tasksOf(claims, life, claimed), more, err
}

func (d *Dispatcher) tasksOf(claims []store.Claim, life *life, claimed time.Time) []task {
	tasks := make([]task, len(claims))
	for i, claim := range claims {
		failpoint.Hit(failpoint.DispatchAfterClaim)
		tasks[i] = task{claim: claim, life: life, made: new(argo.Made), began: new(time.Time), claimed: claimed, deadline: claimed.Add(d.Lease)}
	}
	return tasks
}

// room is how many of the wanted tasks the backlog gate lets in.
func (d *Dispatcher) room(wanted int, active int64) int {
	if d.gate.Limit() <= 0 {
		return wanted
	}
	if d.Lane.Cluster == "" {
		backlog.Set(float64(active))
	}
	return d.gate.Room(wanted, int(active))
}

// countActive counts the unfinished Workflows, where anything depends on it: in all, and by
// namespace where each has a share.
func (d *Dispatcher) countActive(ctx context.Context) (all int64, in map[string]int64, err error) {
	suspended := *d.suspended.Load()
	if d.share.Load() > 0 {
		in, err = d.Queue.ActiveByNamespace(ctx, suspended...)
		for _, active := range in {
			all += active
		}
		return all, in, err
	}
	if d.gate.Limit() > 0 {
		all, err = d.Queue.ActiveWorkflows(ctx, suspended...)
	}
	return all, nil, err
}

// feed starts the tasks as slots become free, and gives back those that it may not
// start any more.
func (d *Dispatcher) feed(ctx context.Context, tasks <-chan task) {
	for next := range tasks {
		if err := d.begin(ctx, next); err != nil {
			d.giveBack(next)
		}
		d.metrics.inFlight.Set(float64(d.pool.InFlight()))
	}
}

// begin waits for a slot, but only while half of the lease is left, which is what
// the task may take.
func (d *Dispatcher) begin(ctx context.Context, next task) error {
	if err := next.life.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, next.deadline.Add(-d.Lease/2))
	defer cancel()
	if err := d.outage.await(ctx); err != nil {
		return err
	}
	return d.pool.Go(ctx, next)
}

func (d *Dispatcher) giveBack(t task) {
	if t.claim.Probe {
		d.causes.Unproven(t.claim.Namespace, time.Now())
	}
	d.commit(store.Completion{ID: t.claim.ID, Attempt: t.claim.Attempt, Status: store.StatusPending})
}

func (d *Dispatcher) reclaim(ctx context.Context) {
	reclaimed, err := d.Queue.ReclaimExpired(ctx)
	if err != nil && ctx.Err() == nil {
		d.Log.Error(err, "expired leases not reclaimed, will retry")
	}
	if reclaimed > 0 {
		d.Log.Info("reclaimed tasks whose worker is gone or whose lease ran out", "tasks", reclaimed)
	}
}

// idle waits until there may be something to do.
func (d *Dispatcher) idle(ctx context.Context, waiting int, pause time.Duration) {
	if !d.fails() && d.pool.InFlight() == 0 && waiting == 0 {
		d.setBusy(false)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	d.metrics.inFlight.Set(float64(d.pool.InFlight()))
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-d.wakeUnlessOutage():
	}
}

// fails tells whether the API server has answered nobody since the last failure.
func (d *Dispatcher) fails() bool {
	fails, _ := d.outage.fails()
	return fails
}

// wakeUnlessOutage keeps a stream of new tasks from hurrying a dispatcher that waits
// because the API server fails: what wakes it then is an answer.
func (d *Dispatcher) wakeUnlessOutage() <-chan struct{} {
	if fails, over := d.outage.fails(); fails {
		return over
	}
	return d.wake
}

// pause is longer the longer the API server has failed, and where there has been nothing to
// do for long. It ends when a probe is due.
func (d *Dispatcher) pause(idle time.Duration, empty bool) time.Duration {
	closed, _, _ := d.gate.Closed()
	next, some := d.causes.Next()
	switch {
	case d.fails() && empty:
		return max(d.outage.rest(), shortestPause)
	case d.fails():
		return max(d.outage.pause(), shortestPause)
	case closed:
		return pollInterval
	case some:
		return min(max(time.Until(next), probePause), pollInterval)
	case idle > idleTime && d.gate.Limit() <= 0 && d.share.Load() <= 0:
		return idleInterval
	default:
		return pollInterval
	}
}
