// Package dispatch observes Pending tasks, and creates their Workflows, at most a
// limit of them at once over all builds.
//
// A claim takes a batch of tasks under a lease. Each is submitted in a pool that
// fills a free slot at once; what became of them is committed in groups. A task
// whose lease may have run out is not touched any more, and the database refuses
// whoever tries.
//
// A submission that the API server fails to answer is judged by what becomes of those
// that begin after it (limit.Outage): only a task that fails while others are answered
// has failed.
package dispatch

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

// commitInterval is the least time between two commits of completions.
const commitInterval = 500 * time.Millisecond

// Queue is the tasks.
type Queue interface {
	// ClaimWithin takes up to most tasks of the lane for the worker, for the length of the
	// lease, and sets those aside that their namespaces have no room for.
	ClaimWithin(ctx context.Context, lane store.Lane, worker string, most int, lease time.Duration, rooms store.Rooms) (claims []store.Claim, aside map[string]v1alpha1.Reason, err error)
	// ClaimDelayed takes tasks that were set aside, of each namespace up to as many.
	ClaimDelayed(ctx context.Context, lane store.Lane, worker string, lease time.Duration, rooms map[string]int) ([]store.Claim, error)
	// ClaimEnding takes up to most tasks of the lane that are to be ended or held.
	ClaimEnding(ctx context.Context, lane store.Lane, worker string, most int, lease time.Duration) ([]store.Claim, error)
	// ReleaseDelayed puts what was set aside in the namespaces back into the queue, and returns
	// whether there may be more.
	ReleaseDelayed(ctx context.Context, lane store.Lane, namespaces []string) (more bool, err error)
	// DelayedNamespaces returns where tasks of the lane are set aside, and why.
	DelayedNamespaces(ctx context.Context, lane store.Lane) (map[string]v1alpha1.Reason, error)
	// Complete records what became of claims that are still the worker's, and
	// returns those.
	Complete(ctx context.Context, worker string, completions []store.Completion) ([]store.Moved, error)
	// ReclaimExpired gives back the tasks whose lease ran out, or whose worker is silent.
	ReclaimExpired(ctx context.Context) (int64, error)
	// ActiveWorkflows counts the unfinished Workflows, but for those of some tasks.
	ActiveWorkflows(ctx context.Context, suspended ...int64) (int64, error)
	// ActiveByNamespace is the same by namespace.
	ActiveByNamespace(ctx context.Context, suspended ...int64) (map[string]int64, error)
}

// Submitter creates Workflows.
type Submitter interface {
	// Submit makes sure that the task's Workflow exists, once however often it is
	// called. An *argo.Refusal ends or holds the task; any other error may pass.
	Submit(ctx context.Context, claim store.Claim) (argo.Made, error)
}

// Config is what a Dispatcher needs. Limit, RatePerSecond and MaxActive are where it
// begins: they can be changed while it runs.
type Config struct {
	// Lane is what it serves, and no other.
	Lane  store.Lane
	Queue Queue
	// Worker is this process, of all its lanes. Defaults to one that needs no sign of life.
	Worker    *Worker
	Submitter Submitter
	// Limit is how many triggers are in flight at once; below 1 means 1.
	Limit int
	// Lease is how long a claim lasts. Submitting takes at most half of it.
	Lease time.Duration
	// RatePerSecond is what the API's token bucket lets through, so that no more
	// is claimed than can be submitted within the lease; 0 is no limit.
	RatePerSecond int
	// MaxActive stops claiming while this many Workflows are unfinished; 0 is off.
	MaxActive int
	// Grace is how long triggers in flight may take to finish at shutdown.
	Grace time.Duration
	// Busy is told when tasks begin and cease to wait.
	Busy func(bool)
	// Held is told when the backlog gate closes and opens.
	Held func()
	// Moved is told of tasks that changed, after the commit.
	Moved func([]store.Moved)
	// Delayed is told of namespaces where Workflows are refused, or no longer. Optional.
	Delayed func(namespace string)
	Log     logr.Logger
}

// Dispatcher runs the pool.
type Dispatcher struct {
	Config
	metrics laneMetrics
	pool    *bounded.Pool[task]
	gate    *limit.Backlog
	rate    atomic.Int64
	wanted  atomic.Int64 // the limit that was asked for
	done    *batch.Committer[store.Completion]
	wake    chan struct{}
	busy    atomic.Bool
	size    batchSizer
	causes  *limit.Causes
	aside   *aside
	share   atomic.Int64
	// queueFirst takes turns: it is the next claim's.
	queueFirst bool
	// suspended are the tasks whose Workflows do not count.
	suspended atomic.Pointer[[]int64]
	outage    *outage
	// created counts the Workflows that were created.
	created *rate
}

// task is a claim and when it must be over.
type task struct {
	claim    store.Claim
	life     *life      // of the worker when it was claimed
	made     *argo.Made // what the submission has made
	began    *time.Time // when it was begun
	claimed  time.Time
	deadline time.Time
}

// New returns a dispatcher that does nothing until it is started.
func New(config Config) *Dispatcher {
	config.Worker = cmp.Or(config.Worker, immortal())
	if config.Delayed == nil {
		config.Delayed = func(string) {}
	}
	d := &Dispatcher{
		Config: config, metrics: metricsOf(config.Lane.Name()), wake: make(chan struct{}, 1),
		causes: limit.NewCauses(), aside: newAside(), outage: newOutage(), created: newRate(time.Now()),
	}
	d.gate = limit.NewBacklog(config.MaxActive, d.gateMoved)
	d.pool = bounded.NewPool(bounded.Config[task]{
		Limit: config.Limit, Timeout: config.Lease / 2, Run: d.submit, Done: d.finish,
	})
	d.done = batch.New(batch.Config[store.Completion]{
		Flush: d.complete, Splits: store.IsTimeout, FlushTimeout: store.WriteTimeout, MinInterval: commitInterval,
		OnError: func(err error, items int, retryIn time.Duration) {
			crash.Tell(d.Log, "dispatch", err)
			d.Log.Error(err, "completions not committed, will retry", "completions", items, "retryIn", retryIn.String())
		},
	})
	d.rate.Store(int64(config.RatePerSecond))
	d.suspended.Store(&[]int64{})
	d.SetLimit(config.Limit)
	return d
}

// SetLimit changes how many triggers are in flight at once; below 1 means 1.
func (d *Dispatcher) SetLimit(inFlight int) {
	d.wanted.Store(int64(max(inFlight, 1)))
	d.limitPool()
}

// Limit returns how many triggers may be in flight at once.
func (d *Dispatcher) Limit() int { return int(d.wanted.Load()) }

// SetRate changes what the API's token bucket lets through in a second; 0 is no
// limit.
func (d *Dispatcher) SetRate(perSecond int) {
	d.rate.Store(int64(perSecond))
	d.limitPool()
}

// limitPool lets no more wait for the token bucket than get a token in time: a slot
// more would only be one that ends at its timeout.
func (d *Dispatcher) limitPool() {
	inFlight := int(d.wanted.Load())
	if rate := int(d.rate.Load()); rate > 0 {
		patience := min(argo.RequestTimeout, d.Lease/2)
		inFlight = min(inFlight, max(int(float64(rate)*patience.Seconds()/2), 1))
	}
	d.pool.SetLimit(inFlight)
	d.metrics.limit.Set(float64(inFlight))
}

// SetMaxActive changes how many Workflows may be unfinished; 0 is no limit.
func (d *Dispatcher) SetMaxActive(workflows int) {
	d.gate.SetLimit(workflows)
	d.Wake()
}

// SetShare changes how many Workflows may be unfinished in one namespace; 0 is no limit.
func (d *Dispatcher) SetShare(workflows int) {
	d.share.Store(int64(workflows))
	d.Wake()
}

// SetSuspended says which tasks have a Workflow that does not count for the gate or for a
// share, since Argo has suspended it.
func (d *Dispatcher) SetSuspended(tasks []int64) {
	d.suspended.Store(&tasks)
	d.Wake()
}

// Wake says that there may be tasks to claim. It never blocks.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// IsBusy tells whether tasks wait for a slot or are in flight.
func (d *Dispatcher) IsBusy() bool { return d.busy.Load() }

// Backlog tells whether the backlog gate holds tasks back, and how many Workflows
// of at most how many were unfinished when it was asked last.
func (d *Dispatcher) Backlog() (closed bool, active, most int) { return d.gate.Closed() }

// gateMoved tells that the backlog gate has closed or opened.
func (d *Dispatcher) gateMoved() {
	closed, _, _ := d.gate.Closed()
	d.metrics.gateClosed.Set(0)
	if closed {
		d.metrics.gateClosed.Set(1)
	}
	d.Held()
}

// NeedLeaderElection binds the pool to leadership. It is a convenience: two
// dispatchers never submit the same task.
func (d *Dispatcher) NeedLeaderElection() bool { return true }

// Start dispatches until the context ends. Then nothing more is claimed, what is
// in flight finishes within the grace period, and the rest is given back.
func (d *Dispatcher) Start(ctx context.Context) error {
	defer d.Worker.use()()
	committing, stopCommitting := context.WithCancel(context.WithoutCancel(ctx))
	committed := make(chan error, 1)
	go func() { committed <- d.done.Run(committing) }()

	d.run(ctx)

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Grace)
	defer cancel()
	if err := d.pool.Shutdown(grace); err != nil {
		d.Log.Error(err, "tasks still in flight after the grace period, their lease will run out")
		d.pool.Wait()
	}
	d.forget()
	stopCommitting()
	d.setBusy(false)
	d.metrics.gateClosed.Set(0) // alerts are muted while a gate is closed
	return <-committed
}

func (d *Dispatcher) setBusy(busy bool) {
	if d.busy.Swap(busy) != busy {
		d.Busy(busy)
	}
}
