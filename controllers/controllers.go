// Package controllers wires the loops together: which of them there are, what each
// is given, and whom it wakes.
package controllers

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/controllers/adapt"
	"github.com/penstock-cd/penstock/controllers/gauge"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/controllers/plan"
	"github.com/penstock-cd/penstock/controllers/release"
	"github.com/penstock-cd/penstock/controllers/report"
	"github.com/penstock-cd/penstock/controllers/sweep"
	"github.com/penstock-cd/penstock/controllers/track"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/dispatch"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// LaneCD is the lane of CD triggers in the token bucket.
const LaneCD = "cd"

// Dependencies is what the loops share.
type Dependencies struct {
	Config config.Config
	Store  *store.Store
	// Bucket is the token bucket of the manager's client (background) and of
	// TriggerClient.
	Bucket *limit.Bucket
	// TriggerClient reads and writes at the API server in the trigger class, in LaneCD.
	TriggerClient client.Client
	// Answers are the samples of TriggerClient's transport.
	Answers *limit.Samples
	// Namespace is where Penstock itself lives, with its settings; without one there
	// are none.
	Namespace string
	Log       logr.Logger
}

// loops are what runs. None runs before the manager starts, nor without leadership.
type loops struct {
	planner    *plan.Controller
	follower   *plan.Follower
	dispatcher *dispatch.Dispatcher
	adapter    *adapt.Adapter
	tracker    *track.Tracker
	releaser   *release.Releaser
	reporter   *report.Reporter
	sweeper    *sweep.Sweeper
	queue      *gauge.Queue
}

// Add adds every loop to the manager.
func Add(ctx context.Context, mgr manager.Manager, deps Dependencies) error {
	if err := lookup.AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	filters, err := trigger.NewFilters()
	if err != nil {
		return err
	}
	l := newLoops(mgr, deps, trigger.Decider{Filters: filters})
	limits := limits{bucket: deps.Bucket, dispatcher: l.dispatcher, adapter: l.adapter}
	limits.apply(deps.Config)
	load, err := watchSettings(mgr, deps, limits.apply)
	if err != nil {
		return err
	}
	return l.register(ctx, mgr, load)
}

// newLoops makes the loops, those first that others wake.
func newLoops(mgr manager.Manager, deps Dependencies, decider trigger.Decider) *loops {
	l := &loops{}
	l.reporter = report.New(report.Config{
		Cache: mgr.GetCache(), Writer: mgr.GetClient(), Rows: deps.Store, Decider: decider,
		Events: mgr.GetEventRecorder("penstock"),
		Busy:   func() bool { return l.dispatcher.IsBusy() },
		Gate:   func() (bool, int, int) { return l.dispatcher.Backlog() },
		Log:    deps.Log.WithName("report"),
	})
	l.dispatcher = dispatch.New(dispatch.Config{
		Queue:     deps.Store,
		Submitter: &argo.Submitter{Cache: mgr.GetCache(), Live: deps.TriggerClient},
		Limit:     firstLimit(deps.Config.BatchSize), Lease: deps.Config.TriggerLease, Grace: deps.Config.ShutdownGracePeriod,
		Busy: func(busy bool) { deps.Bucket.SetBusy(LaneCD, busy) },
		Held: l.reporter.GateMoved, Moved: l.moved, Log: deps.Log.WithName("dispatch"),
	})
	l.adapter = adapt.New(adapt.Config{
		Limit: l.dispatcher, Answers: deps.Answers.Take, DatabaseWait: acquireWait(deps.Store), Log: deps.Log.WithName("adapt"),
	})
	planning := plan.Config{
		Cache: mgr.GetCache(), Live: deps.TriggerClient, Rows: deps.Store, Decider: decider,
		Planned: l.dispatcher.Wake, Report: l.reporter,
	}
	l.planner, l.follower = plan.New(planning), plan.NewFollower(planning, deps.Log.WithName("follow"))
	l.releaser = release.New(release.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Log: deps.Log.WithName("release"),
	})
	l.tracker = track.New(track.Config{
		Rows: deps.Store, Moved: l.moved, Recorded: l.releaser.Recorded, Log: deps.Log.WithName("track"),
	})
	l.sweeper = sweep.New(sweep.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Rows: deps.Store,
		Planner: l.planner, Tracker: l.tracker, Report: l.reporter, Wake: l.wake,
		Interval: deps.Config.SweepInterval, Log: deps.Log.WithName("sweep"),
	})
	l.queue = gauge.NewQueue(deps.Store.QueueDepth, deps.Log.WithName("gauge"))
	return l
}

// moved tells of rows that changed, after the commit.
func (l *loops) moved(rows []store.Moved) {
	l.reporter.Moved(rows)
	if slices.ContainsFunc(rows, store.Moved.HasEnded) {
		l.follower.Wake()
	}
}

// wake makes the loops look that wait to be told of rows.
func (l *loops) wake() {
	l.dispatcher.Wake()
	l.follower.Wake()
}

func (l *loops) register(ctx context.Context, mgr manager.Manager, loadLimits func(context.Context) error) error {
	if err := l.planner.Register(mgr); err != nil {
		return err
	}
	for _, watch := range []func(context.Context, cache.Informers) error{l.reporter.Watch, l.tracker.Watch, watchTemplates} {
		if err := watch(ctx, mgr.GetCache()); err != nil {
			return err
		}
	}
	for _, loop := range []manager.Runnable{
		limited{l.dispatcher, loadLimits}, l.adapter, l.follower, l.tracker, l.releaser, l.reporter, l.sweeper, l.queue,
	} {
		if err := mgr.Add(loop); err != nil {
			return fmt.Errorf("add %T: %w", loop, err)
		}
	}
	return nil
}

// watchTemplates has the cache know templates before the first trigger asks for
// one.
func watchTemplates(ctx context.Context, templates cache.Informers) error {
	for _, kind := range []string{"WorkflowTemplate", "ClusterWorkflowTemplate"} {
		if _, err := templates.GetInformer(ctx, argo.Template(kind)); err != nil {
			return fmt.Errorf("watch %ss: %w", kind, err)
		}
	}
	return nil
}
