// Package report observes what changed in the rows and among the pipelines, and
// writes the status of CiBuilds and CdPipelines, then the events that tell of it.
//
// It is the only writer of both. Writes are coalesced: an object that changes ten
// times while it waits is written once. They wait while triggers go first.
package report

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/backlog"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// coalesceInterval is the least time between two rounds, so that changes that
	// come fast are written together.
	coalesceInterval = 500 * time.Millisecond
	// busyInterval is the same while triggers go first.
	busyInterval = 2 * time.Second
	// noRest is the same while tokens are scarce, where a round takes as long itself.
	noRest = time.Nanosecond
	// failedInterval is the same after the rows could not be read, or no status written.
	failedInterval = 2 * time.Second
	// roundSize is the most objects of each kind that one round reads and writes.
	roundSize = 200
	// mostHalved makes a round one object: what fails, or takes too long, together with
	// others keeps those no longer.
	mostHalved = 8
	// slowRound is how old what a round has read may become before it is written; where
	// tokens are scarce a round is made smaller, down to slowHalved.
	slowRound, slowHalved = time.Second, 4
	// mostPassed is how often in a row one kind is passed over for the other.
	mostPassed = 8
	// writers is how many writes are in flight at once.
	writers = 4
	// writeTimeout bounds one write, waiting for the API's token bucket included.
	writeTimeout = 60 * time.Second
)

// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds/status;cdpipelines/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// Rows is what a report reads from the database.
type Rows interface {
	// Summaries returns what came of the planned ones of the builds, by UID.
	Summaries(ctx context.Context, buildUIDs []string) (map[string]*store.Summary, error)
	// LastRuns returns the newest run of each pipeline that has one, by UID.
	LastRuns(ctx context.Context, pipelineUIDs []string) (map[string]store.LastRun, error)
	// Deployed returns what is deployed by each pipeline, by UID.
	Deployed(ctx context.Context, pipelineUIDs []string) (map[string][]v1alpha1.Deployed, error)
	// LastDecisions returns the newest decision on each pipeline that has one, by UID.
	LastDecisions(ctx context.Context, pipelineUIDs []string) (map[string]store.LastDecision, error)
	// DelayedOwners returns the builds and pipelines of the first tasks that are set aside in
	// a namespace.
	DelayedOwners(ctx context.Context, namespace string, most int) (builds, pipelines []types.NamespacedName, err error)
	// WaitingIn returns those of the first tasks that wait for a slot in a cluster.
	WaitingIn(ctx context.Context, cluster string, most int) (builds, pipelines []types.NamespacedName, err error)
	// WaitingBuilds returns the builds whose tasks are at the head of the queue.
	WaitingBuilds(ctx context.Context) ([]types.NamespacedName, error)
	// HeldBackPipelines returns the pipelines whose tasks are at the head of the queue.
	HeldBackPipelines(ctx context.Context) ([]types.NamespacedName, error)
}

// Gate tells whether the backlog gate holds tasks back, and how many Workflows of
// at most how many are unfinished.
type Gate func() (closed bool, active, most int)

// Config is what a Reporter needs.
type Config struct {
	// Cache reads the objects from memory.
	Cache client.Reader
	// Writer patches status in the background class of the API's token bucket.
	Writer client.Client
	// Rows are the tables, and History their events.
	Rows    Rows
	History Events
	// Decider tells whether a pipeline is ready.
	Decider trigger.Decider
	// Events records events on the objects.
	Events events.EventRecorder
	// Busy tells whether triggers go first, so that only builds are reported.
	Busy func() bool
	// OnDue is told since when the oldest object is due of those that are being written; the
	// zero time where none is. Optional.
	OnDue func(since time.Time)
	// Gate is the backlog gate.
	Gate Gate
	// Delay tells why no Workflows are created in a namespace for now. Optional.
	Delay func(namespace string) (limit.Delay, bool)
	// Holders are the oldest Workflows that keep the gate closed, once it has been for a
	// while. Optional.
	Holders func() []backlog.Holder
	// TemplateWait is how long a stage waits for its template. Optional.
	TemplateWait time.Duration
	// PlanTrouble says why a build could not be planned so far, when that is tried again and
	// what to do; empty where nothing is wrong. Optional.
	PlanTrouble func(build types.NamespacedName) string
	// Log is the reporter's logger.
	Log logr.Logger
}

// errNotWritten says that no status of a round could be written.
var errNotWritten = errors.New("no status could be written")

// Reporter writes status. Its Feed says what may have changed.
type Reporter struct {
	*loop.Loop
	Config
	// Feed must be started beside the reporter.
	Feed      *Feed
	builds    *dirtySet
	pipelines *dirtySet
	gateMoved atomic.Bool
	planning  planning
	delays    *delays
	heldBack  heldBack
	lanes     sync.Map // clusters whose lane has moved
	watched   []watched
	// last is the kind that was reported first in the last round, and passed how often in a
	// row the other was not reported.
	last   *dirtySet
	passed int
}

// New returns a reporter that does nothing until it is started.
func New(config Config) *Reporter {
	if config.OnDue == nil {
		config.OnDue = func(time.Time) {}
	}
	wake := &loop.Signal{}
	r := &Reporter{
		Config: config, builds: newDirtySet(wake), pipelines: newDirtySet(wake), planning: planning{}, delays: newDelays(),
	}
	r.builds.report, r.pipelines.report = r.reportBuilds, r.reportPipelines
	r.Feed = newFeed(config.History, func(builds, pipelines []types.NamespacedName) {
		r.Builds(builds...)
		r.Pipelines(pipelines...)
	}, config.Log)
	r.Loop = loop.New(loop.Config{
		Name: "report", Run: r.runOnce, Signal: wake, MinInterval: coalesceInterval, Retry: failedInterval,
		OnError: r.tell, Log: config.Log,
	})
	return r
}

func (r *Reporter) tell(err error, retryIn time.Duration) {
	if errors.Is(err, errNotWritten) {
		r.Log.Info("report failed, will retry", "retryIn", retryIn.String(), "error", err.Error())
		return
	}
	r.Log.Error(err, "report failed, will retry", "retryIn", retryIn.String())
}

// Builds says that the status of these CiBuilds may have changed. It never blocks.
func (r *Reporter) Builds(keys ...types.NamespacedName) { r.builds.add(keys...) }

// Pipelines says that the status of these CdPipelines may have changed. It never
// blocks.
func (r *Reporter) Pipelines(keys ...types.NamespacedName) { r.pipelines.add(keys...) }

// GateMoved says that the backlog gate has closed or opened. It never blocks.
func (r *Reporter) GateMoved() {
	r.gateMoved.Store(true)
	r.builds.wake.Notify()
}

// Start reports until the context ends. Only now do the informers tell, first of all
// what there is: a replica that stands by gathers nothing. The feed begins before anything
// is read, so that no change is missed.
func (r *Reporter) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.Feed.Started():
	}
	stop, err := r.listen(ctx)
	defer stop()
	if err != nil {
		return err
	}
	return r.Loop.Start(ctx)
}

// runOnce writes one round of each kind. While triggers go first only builds are reported:
// they are few, and what a person looks at. Where tokens are scarce only the kind is that
// waits longest, so that neither is late because the other changes often.
func (r *Reporter) runOnce(ctx context.Context) (time.Duration, error) {
	if err := r.addWaiting(ctx); err != nil {
		return 0, err
	}
	if err := r.addDelayed(ctx); err != nil {
		return 0, err
	}
	if err := r.addLanes(ctx); err != nil {
		return 0, err
	}
	if r.Busy() {
		r.pipelines.again()
		return busyInterval, r.round(ctx, r.builds)
	}
	first, second := r.inOrder()
	err := r.round(ctx, first)
	if err == nil && first.halved > 0 {
		r.passed++
		second.again()
		return noRest, nil // changes that came meanwhile are written together
	}
	r.passed = 0
	return 0, errors.Join(err, r.round(ctx, second))
}

// inOrder returns first the kind of which a changed object waits longest. The other is not
// passed over for ever, as where its objects are only looked at again.
func (r *Reporter) inOrder() (first, second *dirtySet) {
	first, second = r.builds, r.pipelines
	if second.waitsLonger(first) {
		first, second = second, first
	}
	if first != r.last {
		r.last, r.passed = first, 0
	} else if r.passed >= mostPassed {
		first, second = second, first
		r.last, r.passed = first, 0
	}
	return first, second
}

// addWaiting has those builds reported that the gate holds back, or held back until
// now.
func (r *Reporter) addWaiting(ctx context.Context) error {
	if !r.gateMoved.Swap(false) {
		return nil
	}
	waiting, err := r.Rows.WaitingBuilds(ctx)
	if err != nil {
		r.GateMoved()
		return err
	}
	r.Builds(waiting...)
	if err := r.addHeldBack(ctx); err != nil {
		r.GateMoved()
		return err
	}
	return nil
}

// round reports some of a set; what could not be reported stays in it, also where a panic
// was the reason.
func (r *Reporter) round(ctx context.Context, set *dirtySet) error {
	keys := set.take(max(roundSize>>set.halved, 1))
	if len(keys) == 0 {
		set.halved = 0
		return nil
	}
	r.OnDue(set.taken)
	defer r.OnDue(time.Time{})
	began := time.Now()
	var writes []write
	err := bounded.Protect(func() (err error) {
		writes, err = set.report(ctx, keys)
		return err
	})
	if err != nil {
		set.add(keys...)
		set.shrink(mostHalved)
		return fmt.Errorf("report %d objects: %w", len(keys), err)
	}
	if err := r.write(ctx, set, writes); err != nil {
		set.shrink(mostHalved)
		return err
	}
	switch took := time.Since(began); {
	case took > slowRound && set.halved <= slowHalved:
		set.shrink(slowHalved)
	case took < slowRound/2:
		set.halved = max(set.halved-1, 0)
	}
	return nil
}

// shorten has less of a status written where all of it is refused.
func (r *Reporter) shorten(set *dirtySet, refused write, err error) {
	if set.cuts.refuse(refused.key, refused.original.GetResourceVersion()) {
		set.addLater(refused.key)
		return
	}
	r.Log.Info("status is refused however short it is, and is not written until the object changes: make its spec or annotations smaller",
		"namespace", refused.key.Namespace, "name", refused.key.Name, "error", err.Error())
}

// write writes what is due. It returns an error where nothing could be written: then the
// rounds become smaller and rarer, until what refuses them is mended.
func (r *Reporter) write(ctx context.Context, set *dirtySet, writes []write) error {
	var refused []error
	for i, result := range bounded.Map(ctx, writers, writeTimeout, writes, r.apply) {
		switch err := result.Err; {
		case client.IgnoreNotFound(err) == nil: // written, or gone
		case apierrors.IsConflict(err):
			set.add(writes[i].key) // it has only changed since it was read
		case isTooLarge(err):
			r.shorten(set, writes[i], err)
		default:
			refused = append(refused, err)
			crash.Tell(r.Log, "report", err)
			set.addLater(writes[i].key)
		}
	}
	if len(refused) == 0 || len(refused) < len(writes) {
		return nil
	}
	return fmt.Errorf("%w: %d objects: %s", errNotWritten, len(refused), refused[0].Error())
}
