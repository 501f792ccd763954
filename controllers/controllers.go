// Package controllers wires the loops together: which of them there are, what each
// is given, and whom it wakes.
package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/controllers/adapt"
	"github.com/penstock-cd/penstock/controllers/advise"
	"github.com/penstock-cd/penstock/controllers/backlog"
	"github.com/penstock-cd/penstock/controllers/baseimage"
	"github.com/penstock-cd/penstock/controllers/build"
	"github.com/penstock-cd/penstock/controllers/cluster"
	"github.com/penstock-cd/penstock/controllers/delivery"
	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/controllers/gauge"
	"github.com/penstock-cd/penstock/controllers/hold"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/controllers/mirror"
	"github.com/penstock-cd/penstock/controllers/notify"
	"github.com/penstock-cd/penstock/controllers/pickup"
	"github.com/penstock-cd/penstock/controllers/plan"
	"github.com/penstock-cd/penstock/controllers/prune"
	"github.com/penstock-cd/penstock/controllers/receiver"
	"github.com/penstock-cd/penstock/controllers/release"
	"github.com/penstock-cd/penstock/controllers/remote"
	"github.com/penstock-cd/penstock/controllers/report"
	"github.com/penstock-cd/penstock/controllers/request"
	"github.com/penstock-cd/penstock/controllers/restored"
	"github.com/penstock-cd/penstock/controllers/stop"
	"github.com/penstock-cd/penstock/controllers/sweep"
	"github.com/penstock-cd/penstock/controllers/track"
	"github.com/penstock-cd/penstock/controllers/wave"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// The lanes: each has a pool of its own, and they share the token bucket.
var (
	LaneCd = store.Lane{Kind: store.KindCd}
	LaneCi = store.Lane{Kind: store.KindCi}
)

// Dependencies is what the loops share.
type Dependencies struct {
	Config config.Config
	Store  *store.Store
	// Bucket is the token bucket of the manager's client (background) and of
	// TriggerClients.
	Bucket *limit.Bucket
	// TriggerClients read and write at the API server in the trigger class, each in the
	// lane of its key.
	TriggerClients map[store.Lane]client.Client
	// Answers are the samples of the transport of LaneCd.
	Answers *limit.Samples
	// Home is how the cluster that Penstock runs in is probed: outside of Bucket.
	Home *rest.Config
	// Namespace is where Penstock itself lives, with its settings and the kubeconfigs of
	// other clusters; without one there are none.
	Namespace string
	// Replica names this replica in the database, also after a restart.
	Replica string
	Log     logr.Logger
}

// loops are what runs. None runs before the manager starts, nor without leadership.
type loops struct {
	planner    *plan.Controller
	follower   *plan.Follower
	chunks     *plan.Chunks
	requests   *request.Controller
	holder     *hold.Holder
	dispatcher *dispatch.Dispatcher
	builds     *dispatch.Dispatcher
	adapter    *adapt.Adapter
	backlog    *backlog.Finder
	tracker    *track.Tracker
	stopper    *stop.Stopper
	pickup     *pickup.Watcher
	releaser   *release.Releaser
	reporter   *report.Reporter
	mirror     *mirror.Mirror
	sweeper    *sweep.Sweeper
	history    *prune.Rows
	surplus    *prune.Builds
	freeze     freeze
	queue      *gauge.Queue
	horizon    *gauge.Horizon
	restored   *restored.Comparer
	notifier   *notify.Notifier
	building   *build.Controller
	standing   *build.Teller
	pipelines  *build.Pipelines
	ender      *build.Ender
	baseImages *baseimage.Checker
	waves      *wave.Waver
	receivers  *receiver.Controller
	deliveries *delivery.Worker
	clusters   *cluster.Prober // nil where TargetClusters are not read
	sites      *remote.Sites
	worker     *dispatch.Worker
	inForce    func() []config.InForce
	adviser    *advise.Adviser
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
	if deps.Config.ClusterScopedKinds {
		if err := l.addProber(ctx, mgr, deps); err != nil {
			return err
		}
	}
	if l.notifier, err = newNotifier(mgr, deps); err != nil {
		return err
	}
	l.sites = l.newSites(mgr, deps)
	l.baseImages = newBaseImages(mgr, deps)
	if err := l.addWebhooks(mgr, deps); err != nil {
		return err
	}
	limits := limits{bucket: deps.Bucket, dispatcher: l.dispatcher, builds: l.builds, adapter: l.adapter, history: l.history, freeze: &l.freeze, holder: l.holder, sites: l.sites}
	limits.apply(deps.Config)
	load, err := l.watchSettings(mgr, deps, limits.apply)
	if err != nil {
		return err
	}
	l.adviser = advise.New(advise.Config{
		Metrics: metrics.Registry.Gather, Limits: l.inForce, Environment: deps.Config, Clock: clock.RealClock{}, Log: deps.Log.WithName("advise"),
	})
	return l.register(ctx, mgr, load)
}

// newLoops makes the loops, those first that others wake.
func newLoops(mgr manager.Manager, deps Dependencies, decider trigger.Decider) *loops {
	l, troubles := &loops{}, plan.NewTroubles()
	l.restored = restored.New(restored.Config{
		Cache: mgr.GetCache(), Rows: deps.Store, Events: mgr.GetEventRecorder("penstock"), Log: deps.Log.WithName("restored"),
	})
	l.reporter = report.New(report.Config{
		Cache: mgr.GetCache(), Writer: mgr.GetClient(), Rows: deps.Store, History: deps.Store, Decider: decider,
		Events: mgr.GetEventRecorder("penstock"), TemplateWait: deps.Config.TemplateWait,
		Busy:        deps.Bucket.TriggersFirst,
		OnDue:       func(since time.Time) { deps.Bucket.SetDue("report", since) },
		Gate:        func() (bool, int, int) { return l.dispatcher.Backlog() },
		Delay:       func(namespace string) (limit.Delay, bool) { return l.dispatcher.DelayOf(namespace) },
		Holders:     func() []backlog.Holder { return l.backlog.Holders() },
		PlanTrouble: troubles.Of,
		Log:         deps.Log.WithName("report"),
	})
	l.worker = dispatch.NewWorker(deps.Store, deps.Replica, deps.Log.WithName("dispatch"))
	l.dispatcher = l.newDispatcher(mgr, deps, LaneCd, firstLimit(deps.Config.BatchSize))
	l.builds = l.newDispatcher(mgr, deps, LaneCi, deps.Config.CiBatchSize)
	l.worker.State = func() store.WorkerState { return l.state(deps.Config) }
	l.backlog = backlog.New(backlog.Config{
		Rows: deps.Store, Live: mgr.GetAPIReader(), Closed: l.gateClosed, Suspended: l.suspended,
		OnFound: l.reporter.GateMoved, Log: deps.Log.WithName("backlog"),
	})
	l.adapter = adapt.New(adapt.Config{
		Limit: l.dispatcher, Answers: deps.Answers.Take, DatabaseWait: acquireWait(deps.Store), Log: deps.Log.WithName("adapt"),
	})
	l.addPlanning(mgr, deps, decider, troubles)
	l.addRequests(mgr, deps, decider)
	l.holder = hold.New(hold.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Rows: deps.Store,
		Interval: deps.Config.SweepInterval, TemplateWait: deps.Config.TemplateWait, Freeze: l.freeze.get, OnCommit: l.wake, Log: deps.Log.WithName("hold"),
		Templates: elsewhere{l}.Templates,
	})
	l.stopper = stop.New(stop.Config{Rows: deps.Store, Writer: deps.TriggerClients[LaneCd], Log: deps.Log.WithName("stop")})
	l.releaser = release.New(release.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Writer: mgr.GetClient(),
		Urgent: l.isShut, UrgentWriter: deps.TriggerClients[LaneCd],
		OnDue: func(since time.Time) { deps.Bucket.SetDue("release", since) }, Log: deps.Log.WithName("release"),
	})
	l.tracker = track.New(track.Config{
		Rows: deps.Store, Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Moved: l.moved, Recorded: l.releaser.Recorded,
		Deleted: l.freed, Events: mgr.GetEventRecorder("penstock"), Log: deps.Log.WithName("track"),
	})
	l.pickup = pickup.New(pickup.Config{
		Rows: deps.Store, Cache: mgr.GetCache(), Timeout: deps.Config.PickupTimeout, Moved: l.moved, Log: deps.Log.WithName("pickup"),
	})
	l.addBuilding(mgr, deps)
	l.addWaves(mgr, deps)
	l.mirror = mirror.New(mirror.Config{Cache: mgr.GetCache(), Rows: deps.Store, Log: deps.Log.WithName("mirror")})
	l.sweeper = sweep.New(sweep.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Events: mgr.GetEventRecorder("penstock"), Rows: deps.Store,
		Planner: l.planner, Tracker: l.tracker, Wake: l.wake,
		Interval: deps.Config.SweepInterval, Log: deps.Log.WithName("sweep"),
	})
	l.addPruning(mgr, deps)
	l.queue = gauge.NewQueue(deps.Store.QueueDepth, deps.Store.DelayedTasks, deps.Log.WithName("gauge"))
	l.horizon = gauge.NewHorizon(deps.Store.EventDelay, deps.Log.WithName("gauge"))
	return l
}

// addPruning makes the loops that delete what is old.
func (l *loops) addPruning(mgr manager.Manager, deps Dependencies) {
	l.history = prune.NewRows(prune.RowsConfig{History: deps.Store, Log: deps.Log.WithName("prune")})
	l.surplus = prune.NewBuilds(prune.BuildsConfig{
		Cache: mgr.GetCache(), Writer: mgr.GetClient(), Interval: deps.Config.SweepInterval, Log: deps.Log.WithName("prune"),
	})
}

// addPlanning makes the loops that plan.
func (l *loops) addPlanning(mgr manager.Manager, deps Dependencies, decider trigger.Decider, troubles *plan.Troubles) {
	planning := plan.Config{
		Cache: mgr.GetCache(), Live: deps.TriggerClients[LaneCd], Rows: deps.Store, Decider: decider,
		Planned: l.wake, Compared: l.restored.Compared, OnUnplanned: func(build types.NamespacedName) { l.reporter.Builds(build) },
		Bounds: plan.NewBounds(), Troubles: troubles, OnLarge: func() { l.chunks.Wake() },
	}
	l.planner, l.follower = plan.New(planning), plan.NewFollower(planning, deps.Log.WithName("follow"))
	l.chunks = plan.NewChunks(planning, deps.Log.WithName("plan"))
}

// addRequests makes the loop that carries RunRequests out.
func (l *loops) addRequests(mgr manager.Manager, deps Dependencies, decider trigger.Decider) {
	l.requests = request.New(request.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Rows: deps.Store, Decider: decider,
		Events: mgr.GetEventRecorder("penstock"), OnCommit: l.wake, Compared: l.restored.Compared,
		Targets: map[string]request.Target{
			"CiBuild":       build.Target{Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Rows: deps.Store},
			"TargetCluster": remote.Target{Rows: deps.Store},
			"BaseImage":     wave.Target{Live: mgr.GetAPIReader(), Rows: deps.Store},
		},
	})
}

// addWaves makes the loop that rebuilds what is built on base images.
func (l *loops) addWaves(mgr manager.Manager, deps Dependencies) {
	l.waves = wave.New(wave.Config{
		Cache: mgr.GetCache(), Writer: mgr.GetClient(), Rows: deps.Store, Events: mgr.GetEventRecorder("penstock"), Log: deps.Log.WithName("wave"),
	})
}

// addBuilding makes the loops that run CiBuilds.
func (l *loops) addBuilding(mgr manager.Manager, deps Dependencies) {
	building := build.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Rows: deps.Store, Events: mgr.GetEventRecorder("penstock"),
		TemplateWait: deps.Config.TemplateWait, Compared: l.restored.Compared, OnCommit: l.wake, Recorded: l.releaser.Recorded,
		Elsewhere: elsewhere{l}, Log: deps.Log.WithName("build"),
	}
	l.standing = build.NewTeller(building)
	building.OnQueued = l.standing.Look
	l.building, l.pipelines = build.New(building), build.NewPipelines(building)
	// What a build has made is deployed once its status says so: that goes before other statuses.
	building.Live, building.Writer = deps.TriggerClients[LaneCi], deps.TriggerClients[LaneCi]
	l.ender = build.NewEnder(building)
}

// addProber adds the loop that probes TargetClusters.
func (l *loops) addProber(ctx context.Context, mgr manager.Manager, deps Dependencies) error {
	kinds, err := fleet.ParseKinds(deps.Config.ResourceKinds)
	if err != nil {
		return fmt.Errorf("RESOURCE_KINDS: %w", err)
	}
	prober := cluster.New(cluster.Config{
		Members: fleet.MembersConfig{
			Namespace: deps.Namespace, Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Home: deps.Home, UserAgent: deps.Home.UserAgent,
			OnChange: func(cluster string) { l.sites.Changed(cluster) },
		},
		Writer: mgr.GetClient(), History: deps.Store, Events: mgr.GetEventRecorder("penstock"), Kinds: kinds,
		Lane:     func(cluster string) (*store.ClusterLane, bool) { return l.sites.Lane(cluster) },
		Interval: deps.Config.ClusterProbeInterval, Parallelism: deps.Config.ClusterProbeParallelism, Log: deps.Log.WithName("cluster"),
	})
	if err := prober.Members.Watch(ctx, mgr.GetCache()); err != nil {
		return err
	}
	if err := mgr.Add(prober); err != nil {
		return fmt.Errorf("add %T: %w", prober, err)
	}
	l.clusters = prober
	return nil
}

// newNotifier makes the loop that notifies.
func newNotifier(mgr manager.Manager, deps Dependencies) (*notify.Notifier, error) {
	return notify.New(notify.Config{
		Cache: mgr.GetCache(), Live: deps.TriggerClients[LaneCi], Writer: mgr.GetClient(), Rows: deps.Store, Events: mgr.GetEventRecorder("penstock"),
		Guard: outbound.New(deps.Config.Outbound()), Namespace: deps.Namespace, Worker: deps.Replica, Workers: deps.Config.NotificationWorkers,
		Log: deps.Log.WithName("notify"),
	})
}

// newBaseImages makes the loop that checks BaseImages.
func newBaseImages(mgr manager.Manager, deps Dependencies) *baseimage.Checker {
	return baseimage.New(baseimage.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Rows: deps.Store, Events: mgr.GetEventRecorder("penstock"),
		Guard: outbound.New(deps.Config.Outbound()), Log: deps.Log.WithName("baseimage"),
	})
}

// addWebhooks makes the loops that tell where webhooks are received, and work off what came.
func (l *loops) addWebhooks(mgr manager.Manager, deps Dependencies) (err error) {
	l.receivers, err = receiver.New(receiver.Config{Cache: mgr.GetCache(), Writer: mgr.GetClient(), Rows: deps.Store, Log: deps.Log.WithName("receiver")})
	if err != nil {
		return err
	}
	l.deliveries, err = delivery.New(delivery.Config{
		Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Writer: mgr.GetClient(), Rows: deps.Store, Checks: deps.Store, Worker: deps.Replica,
		Log: deps.Log.WithName("delivery"),
	})
	return err
}

// builders make the Workflows of each kind of task, wherever they run.
func (l *loops) builders(deps Dependencies) argo.Builders {
	labels, ttl := deps.Config.Labels(), time.Duration(deps.Config.WorkflowTTL)
	return argo.Builders{
		store.KindCd: argo.Stages{Freeze: l.freeze.get, Labels: labels, TTL: ttl},
		store.KindCi: argo.Builds{Labels: labels, TTL: ttl, BaseImages: baseImagesOf(deps.Store)},
	}
}

// elsewhere is the other clusters, for loops that are made before them.
type elsewhere struct{ *loops }

// Templates implements build.Elsewhere.
func (e elsewhere) Templates(cluster string) (client.Reader, bool) { return e.sites.Templates(cluster) }

// Workflows implements build.Elsewhere.
func (e elsewhere) Workflows(cluster string) (client.Reader, bool) { return e.sites.Workflows(cluster) }

// Recorded implements build.Elsewhere.
func (e elsewhere) Recorded(cluster string, workflows []types.NamespacedName) {
	e.sites.Recorded(cluster, workflows)
}

// served has those look again who wait for a cluster.
func (l *loops) served() {
	l.holder.TemplatesMoved()
	l.ender.Wake()
}

// newSites makes the loops of other clusters. It needs those of TargetClusters.
func (l *loops) newSites(mgr manager.Manager, deps Dependencies) *remote.Sites {
	var members remote.Members = remote.None{}
	if l.clusters != nil {
		members = l.clusters.Members
	}
	return remote.New(remote.Config{
		Cache: mgr.GetCache(), Live: deps.TriggerClients[LaneCd], Members: members, Rows: deps.Store,
		Home: remote.HomeUID(mgr.GetAPIReader()), Builders: l.builders(deps), Worker: l.worker, Moved: l.moved,
		OnTemplate: l.holder.TemplatesMoved, OnServing: l.served, OnLane: l.reporter.LaneMoved, Events: mgr.GetEventRecorder("penstock"),
		Settings: deps.Config, Log: deps.Log.WithName("remote"),
	})
}

// newDispatcher returns the dispatcher of one lane.
func (l *loops) newDispatcher(mgr manager.Manager, deps Dependencies, lane store.Lane, inFlight int) *dispatch.Dispatcher {
	submitter := &argo.Submitter{
		Builders: l.builders(deps),
		Cache:    mgr.GetCache(), Live: deps.TriggerClients[lane],
	}
	dispatcher := dispatch.New(dispatch.Config{
		Lane: lane, Queue: deps.Store, Worker: l.worker, Submitter: submitter,
		Limit: inFlight, Lease: deps.Config.TriggerLease, Grace: deps.Config.ShutdownGracePeriod,
		Busy: func(busy bool) { deps.Bucket.SetBusy(lane.Name(), busy) },
		Held: l.reporter.GateMoved, Moved: l.moved, Delayed: l.delayed,
		Log: deps.Log.WithName("dispatch").WithValues("lane", lane.Name()),
	})
	submitter.Admits = dispatcher.Admits
	return dispatcher
}

// delayed has it told that Workflows of a namespace are refused, or no longer, and lets
// those go that keep its quota used up.
func (l *loops) delayed(namespace string) {
	l.reporter.Delayed(namespace)
	if l.isShut(namespace) {
		l.releaser.Hurry(namespace)
	}
}

// isShut tells whether a lane waits for the namespace to have room.
func (l *loops) isShut(namespace string) bool {
	_, runs := l.dispatcher.DelayOf(namespace)
	_, builds := l.builds.DelayOf(namespace)
	return runs || builds
}

// freed tells that a Workflow of a namespace is gone.
func (l *loops) freed(namespace string) {
	l.dispatcher.Freed(namespace)
	l.builds.Freed(namespace)
}

// gateClosed tells whether the backlog gate holds tasks of a lane back.
func (l *loops) gateClosed() bool {
	runs, _, _ := l.dispatcher.Backlog()
	builds, _, _ := l.builds.Backlog()
	return runs || builds
}

// suspended tells the lanes which Workflows do not count for the gate.
func (l *loops) suspended(tasks []int64) {
	l.dispatcher.SetSuspended(tasks)
	l.builds.SetSuspended(tasks)
}

// moved wakes those who act on tasks that changed, after the commit. The stopper looks
// often enough for the few that are to be stopped and were just being created.
func (l *loops) moved(tasks []store.Moved) {
	l.reporter.Feed.Wake()
	l.holder.Moved(tasks)
	l.standing.Moved(tasks)
	if slices.ContainsFunc(tasks, store.Moved.HasEnded) {
		l.follower.Wake()
		l.ender.Wake()
	}
}

// wake makes every loop look that acts on tasks.
func (l *loops) wake() {
	l.dispatcher.Wake()
	l.builds.Wake()
	l.sites.Wake()
	l.follower.Wake()
	l.stopper.Wake()
	l.ender.Wake()
	l.waves.Wake()
	l.reporter.Feed.Wake()
}

func (l *loops) register(ctx context.Context, mgr manager.Manager, loadLimits func(context.Context) error) error {
	for _, controller := range []interface{ Register(manager.Manager) error }{l.planner, l.requests, l.building, l.standing, l.pipelines} {
		if err := controller.Register(mgr); err != nil {
			return err
		}
	}
	for _, watch := range []func(context.Context, cache.Informers) error{
		l.reporter.Watch, l.tracker.Watch, l.holder.Watch, l.mirror.Watch, l.notifier.Watch, l.baseImages.Watch, l.receivers.Watch,
	} {
		if err := watch(ctx, mgr.GetCache()); err != nil {
			return err
		}
	}
	for _, loop := range []manager.Runnable{
		limited{l.dispatcher, loadLimits}, limited{l.builds, loadLimits}, limited{l.sites, loadLimits}, limited{l.history, loadLimits}, l.surplus, l.adapter, l.backlog, limited{l.follower, l.restored.Compared}, limited{l.chunks, l.restored.Compared}, limited{l.holder, l.restored.Compared}, limited{l.ender, l.restored.Compared}, l.tracker, l.stopper, l.releaser, l.pickup,
		l.reporter.Feed, limited{l.reporter, l.restored.Compared}, l.mirror, limited{l.sweeper, l.restored.Compared}, l.queue, l.horizon, l.adviser, l.notifier, l.baseImages, limited{l.waves, l.restored.Compared}, l.receivers, limited{l.deliveries, l.restored.Compared},
	} {
		if err := mgr.Add(loop); err != nil {
			return fmt.Errorf("add %T: %w", loop, err)
		}
	}
	return nil
}
