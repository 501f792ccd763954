// Package dispatch observes Pending rows, and creates their Workflows, at most a
// limit of them at once over all builds.
//
// A claim takes a batch of rows under a lease. Each is submitted in a pool that
// fills a free slot at once; what became of them is committed in groups. A row
// whose lease may have run out is not touched any more, and the database refuses
// whoever tries.
package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// pollInterval is how long an idle dispatcher waits before it looks whether a
	// row's back-off is over.
	pollInterval = time.Second
	// commitInterval is the least time between two commits of completions.
	commitInterval = 100 * time.Millisecond
	// minBatch and maxBatch bound how many rows one claim takes.
	minBatch, maxBatch = 20, 200
)

// Queue is the rows.
type Queue interface {
	// Claim takes up to most rows for the worker, for the length of the lease.
	Claim(ctx context.Context, worker string, most int, lease time.Duration) ([]store.Claim, error)
	// Complete records what became of claims that are still the worker's, and
	// returns those.
	Complete(ctx context.Context, worker string, completions []store.Completion) ([]store.Moved, error)
	// ReclaimExpired gives back the rows whose lease ran out.
	ReclaimExpired(ctx context.Context) (int64, error)
	// ActiveWorkflows counts the unfinished Workflows.
	ActiveWorkflows(ctx context.Context) (int64, error)
}

// Submitter creates Workflows.
type Submitter interface {
	// Submit makes sure that the row's Workflow exists, once however often it is
	// called. An *argo.Refusal ends the row; any other error may pass.
	Submit(ctx context.Context, claim store.Claim) error
}

// Config is what a Dispatcher needs.
type Config struct {
	Queue     Queue
	Submitter Submitter
	// Limit is how many triggers are in flight at once; below 1 means 1.
	Limit int
	// Lease is how long a claim lasts. Submitting takes at most half of it.
	Lease time.Duration
	// RatePerSecond is what the API's token bucket lets through, so that no more
	// is claimed than can be submitted within the lease.
	RatePerSecond int
	// MaxActive stops claiming while this many Workflows are unfinished; 0 is off.
	MaxActive int
	// Grace is how long triggers in flight may take to finish at shutdown.
	Grace time.Duration
	// Busy is told when triggers begin and cease to wait.
	Busy func(bool)
	// Moved is told of rows that changed, after the commit.
	Moved func([]store.Moved)
	Log   logr.Logger
}

// Dispatcher runs the pool. Its name in the database is new with each process, so
// that no process ever completes another's claim.
type Dispatcher struct {
	Config
	worker string
	pool   *bounded.Pool[task]
	done   *batch.Committer[store.Completion]
	wake   chan struct{}
	busy   atomic.Bool
	// failures counts, in a row, submissions that failed and may pass.
	failures atomic.Int32
}

// task is a claim and when it must be over.
type task struct {
	claim    store.Claim
	claimed  time.Time
	deadline time.Time
}

// New returns a dispatcher that does nothing until it is started.
func New(config Config) *Dispatcher {
	d := &Dispatcher{Config: config, worker: rand.Text(), wake: make(chan struct{}, 1)}
	d.pool = bounded.NewPool(bounded.Config[task]{
		Limit: config.Limit, Timeout: config.Lease / 2, Run: d.submit, Done: d.finish,
	})
	d.done = batch.New(batch.Config[store.Completion]{
		Flush: d.complete, FlushTimeout: store.WriteTimeout, MinInterval: commitInterval,
		OnError: func(err error, items int, retryIn time.Duration) {
			d.Log.Error(err, "completions not committed, will retry", "completions", items, "retryIn", retryIn.String())
		},
	})
	limitGauge.Set(float64(d.pool.Limit()))
	return d
}

// Wake says that there may be rows to claim. It never blocks.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// IsBusy tells whether triggers are waiting or under way.
func (d *Dispatcher) IsBusy() bool { return d.busy.Load() }

// NeedLeaderElection binds the pool to leadership. It is a convenience: two
// dispatchers never submit the same row.
func (d *Dispatcher) NeedLeaderElection() bool { return true }

// Start dispatches until the context ends. Then nothing more is claimed, what is
// in flight finishes within the grace period, and the rest is given back.
func (d *Dispatcher) Start(ctx context.Context) error {
	committing, stopCommitting := context.WithCancel(context.WithoutCancel(ctx))
	committed := make(chan error, 1)
	go func() { committed <- d.done.Run(committing) }()

	d.run(ctx)

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Grace)
	defer cancel()
	if err := d.pool.Shutdown(grace); err != nil {
		d.Log.Error(err, "triggers still in flight after the grace period, their lease will run out")
		d.pool.Wait()
	}
	stopCommitting()
	d.setBusy(false)
	return <-committed
}

// run claims and feeds the pool until the context ends.
func (d *Dispatcher) run(ctx context.Context) {
	var reclaimed time.Time
	for ctx.Err() == nil {
		if time.Since(reclaimed) > d.Lease/4 {
			d.reclaim(ctx)
			reclaimed = time.Now()
		}
		tasks, err := d.claim(ctx)
		if err != nil && ctx.Err() == nil {
			d.Log.Error(err, "claim failed, will retry")
		}
		d.feed(ctx, tasks)
		if len(tasks) == 0 || d.failures.Load() > 0 {
			d.idle(ctx)
		}
	}
}

// claim takes the next batch, or nothing while the backlog gate is closed.
func (d *Dispatcher) claim(ctx context.Context) ([]task, error) {
	most, err := d.room(ctx)
	if err != nil {
		return nil, err
	}
	if most <= 0 {
		d.setBusy(d.pool.InFlight() > 0)
		return nil, nil
	}
	// Taken before the request, so that by this process's clock the lease ends
	// before it does by the database's.
	claimed := time.Now()
	claims, err := d.Queue.Claim(ctx, d.worker, most, d.Lease)
	if err != nil {
		return nil, err
	}
	batchSize.Observe(float64(len(claims)))
	d.setBusy(len(claims) > 0 || d.pool.InFlight() > 0)
	tasks := make([]task, len(claims))
	for i, claim := range claims {
		tasks[i] = task{claim: claim, claimed: claimed, deadline: claimed.Add(d.Lease)}
	}
	return tasks, nil
}

// room is how many rows to claim.
func (d *Dispatcher) room(ctx context.Context) (int, error) {
	most := batchOf(d.pool.Limit(), d.RatePerSecond, d.Lease)
	if d.MaxActive <= 0 {
		return most, nil
	}
	active, err := d.Queue.ActiveWorkflows(ctx)
	if err != nil {
		return 0, err
	}
	return min(most, d.MaxActive-int(active)), nil
}

// batchOf is a few rows for each slot, but no more than the rate lets through in a
// quarter of the lease.
func batchOf(limit, ratePerSecond int, lease time.Duration) int {
	most := min(max(4*limit, minBatch), maxBatch)
	if ratePerSecond > 0 {
		most = min(most, int(float64(ratePerSecond)*lease.Seconds()/4))
	}
	return max(most, 1)
}

// feed starts the tasks as slots become free, and gives back those that it may not
// start any more.
func (d *Dispatcher) feed(ctx context.Context, tasks []task) {
	for _, next := range tasks {
		if err := d.begin(ctx, next); err != nil {
			d.giveBack(next)
		}
		inFlight.Set(float64(d.pool.InFlight()))
	}
}

// begin waits for a slot, but only while half of the lease is left, which is what
// the task may take.
func (d *Dispatcher) begin(ctx context.Context, next task) error {
	ctx, cancel := context.WithDeadline(ctx, next.deadline.Add(-d.Lease/2))
	defer cancel()
	return d.pool.Go(ctx, next)
}

func (d *Dispatcher) giveBack(t task) {
	d.commit(store.Completion{ID: t.claim.ID, Attempt: t.claim.Attempt, Status: store.StatusPending})
}

// submit is a task of the pool.
func (d *Dispatcher) submit(ctx context.Context, t task) error {
	return d.Submitter.Submit(ctx, t.claim)
}

// finish decides what a submission's end means for its row.
func (d *Dispatcher) finish(t task, err error) {
	completion := judge(t.claim, err)
	switch completion.Status {
	case store.StatusSubmitted:
		d.failures.Store(0)
		latency.Observe((t.claim.Waited + time.Since(t.claimed)).Seconds())
	case store.StatusPending:
		d.failures.Add(1)
		d.Log.Info("trigger not submitted, will retry", "pipeline", t.claim.Pipeline, "namespace", t.claim.Namespace,
			"build", t.claim.BuildName, "attempt", t.claim.Attempt, "retryIn", completion.Delay.String(), "error", err.Error())
	default:
		d.Log.Info("trigger refused", "pipeline", t.claim.Pipeline, "namespace", t.claim.Namespace,
			"build", t.claim.BuildName, "reason", completion.Reason, "message", completion.Message)
	}
	var panicked *bounded.PanicError
	if errors.As(err, &panicked) {
		panics.WithLabelValues("dispatch").Inc()
		d.Log.Error(err, "submission panicked", "stack", string(panicked.Stack))
	}
	triggers.WithLabelValues(string(completion.Status)).Inc()
	duration.Observe(time.Since(t.claimed).Seconds())
	d.commit(completion)
}

// commit hands a completion over. When that is refused, the row's lease runs out
// and the next attempt finds what this one made.
func (d *Dispatcher) commit(completion store.Completion) {
	if err := d.done.Add(completion); err != nil {
		d.Log.Error(err, "completion dropped, the lease will run out", "runner", completion.ID)
	}
}

// complete commits a group of completions.
func (d *Dispatcher) complete(ctx context.Context, completions []store.Completion) error {
	began := time.Now()
	moved, err := d.Queue.Complete(ctx, d.worker, completions)
	if err != nil {
		return fmt.Errorf("commit %d completions: %w", len(completions), err)
	}
	batchDuration.Observe(time.Since(began).Seconds())
	d.Moved(moved)
	return nil
}

func (d *Dispatcher) reclaim(ctx context.Context) {
	reclaimed, err := d.Queue.ReclaimExpired(ctx)
	if err != nil && ctx.Err() == nil {
		d.Log.Error(err, "expired leases not reclaimed, will retry")
	}
	if reclaimed > 0 {
		d.Log.Info("reclaimed triggers whose lease ran out", "triggers", reclaimed)
	}
}

// idle waits until there may be something to do.
func (d *Dispatcher) idle(ctx context.Context) {
	if d.failures.Load() == 0 && d.pool.InFlight() == 0 {
		d.setBusy(false)
	}
	timer := time.NewTimer(d.pause())
	defer timer.Stop()
	inFlight.Set(float64(d.pool.InFlight()))
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-d.wakeUnlessFailing():
	}
}

// wakeUnlessFailing keeps a stream of new rows from hurrying a dispatcher that
// waits because the API server fails.
func (d *Dispatcher) wakeUnlessFailing() <-chan struct{} {
	if d.failures.Load() > 0 {
		return nil
	}
	return d.wake
}

// pause is longer the more submissions have failed in a row.
func (d *Dispatcher) pause() time.Duration {
	if failures := d.failures.Load(); failures > 0 {
		return backoff(failures, outageFirst, outageMost)
	}
	return pollInterval
}

func (d *Dispatcher) setBusy(busy bool) {
	if d.busy.Swap(busy) != busy {
		d.Busy(busy)
	}
}
