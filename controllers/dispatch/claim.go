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
	// ahead is how many claimed rows wait for a slot while the next are claimed.
	ahead = minBatch / 2
	// reclaimInterval is the longest pause between two looks for tasks of workers that died.
	reclaimInterval = time.Second
)

// run claims and feeds the pool until the context ends. The next rows are claimed
// while the last of those before are still being started, so that no slot waits for
// the database.
func (d *Dispatcher) run(ctx context.Context) {
	tasks := make(chan task, ahead)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		d.feed(ctx, tasks)
	}()
	var reclaimed time.Time
	busy := time.Now() // when there was a task last
	for ctx.Err() == nil {
		life := d.Worker.await(ctx)
		if life == nil {
			break
		}
		if time.Since(reclaimed) > min(d.Lease/4, reclaimInterval) {
			d.reclaim(ctx)
			reclaimed = time.Now()
		}
		claimed, err := d.claim(ctx, life)
		if err != nil && ctx.Err() == nil {
			d.Log.Error(err, "claim failed, will retry")
		}
		for _, next := range claimed {
			tasks <- next
		}
		if len(claimed) > 0 || d.pool.InFlight() > 0 {
			busy = time.Now()
		}
		if len(claimed) == 0 || d.outage.Load() > 0 {
			d.idle(ctx, len(tasks), d.pause(time.Since(busy)))
		}
	}
	close(tasks)
	<-fed
}

// claim takes the next batch, or nothing while the backlog gate is closed.
func (d *Dispatcher) claim(ctx context.Context, life *life) ([]task, error) {
	wanted := d.size.next(batchLimits{inFlight: d.pool.Limit(), rate: int(d.rate.Load()), lease: d.Lease})
	most, err := d.room(ctx, wanted)
	if err != nil {
		return nil, err
	}
	if most == 0 {
		d.setBusy(d.pool.InFlight() > 0)
		return nil, nil
	}
	// Taken before the request, so that by this process's clock the lease ends
	// before it does by the database's.
	claimed := time.Now()
	claims, err := d.Queue.Claim(ctx, d.Lane, d.Worker.name, most, d.Lease)
	if err != nil {
		return nil, err
	}
	if len(claims) < most {
		d.gate.Drained()
	}
	d.size.claimed(len(claims) == wanted, claimed)
	d.metrics.batchSize.Observe(float64(len(claims)))
	d.setBusy(len(claims) > 0 || d.pool.InFlight() > 0)
	tasks := make([]task, len(claims))
	for i, claim := range claims {
		failpoint.Hit(failpoint.DispatchAfterClaim)
		tasks[i] = task{claim: claim, life: life, made: new(argo.Made), claimed: claimed, deadline: claimed.Add(d.Lease)}
	}
	return tasks, nil
}

// room is how many of the wanted rows the backlog gate lets in.
func (d *Dispatcher) room(ctx context.Context, wanted int) (int, error) {
	if d.gate.Limit() <= 0 {
		return wanted, nil
	}
	active, err := d.Queue.ActiveWorkflows(ctx)
	if err != nil {
		return 0, err
	}
	backlog.Set(float64(active))
	return d.gate.Room(wanted, int(active)), nil
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
	return d.pool.Go(ctx, next)
}

func (d *Dispatcher) giveBack(t task) {
	d.commit(store.Completion{ID: t.claim.ID, Attempt: t.claim.Attempt, Status: store.StatusPending})
}

func (d *Dispatcher) reclaim(ctx context.Context) {
	reclaimed, err := d.Queue.ReclaimExpired(ctx)
	if err != nil && ctx.Err() == nil {
		d.Log.Error(err, "expired leases not reclaimed, will retry")
	}
	if reclaimed > 0 {
		d.Log.Info("reclaimed triggers whose worker is gone or whose lease ran out", "triggers", reclaimed)
	}
}

// idle waits until there may be something to do.
func (d *Dispatcher) idle(ctx context.Context, waiting int, pause time.Duration) {
	if d.outage.Load() == 0 && d.pool.InFlight() == 0 && waiting == 0 {
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

// wakeUnlessOutage keeps a stream of new rows from hurrying a dispatcher that waits
// because the API server fails.
func (d *Dispatcher) wakeUnlessOutage() <-chan struct{} {
	if d.outage.Load() > 0 {
		return nil
	}
	return d.wake
}

// pause is longer the more submissions have failed in a row, and where there has been
// nothing to do for long.
func (d *Dispatcher) pause(idle time.Duration) time.Duration {
	switch failures := d.outage.Load(); {
	case failures > 0:
		return backoff(failures, outageFirst, outageMost)
	case idle > idleTime && d.gate.Limit() <= 0:
		return idleInterval
	default:
		return pollInterval
	}
}
