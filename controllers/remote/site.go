package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/controllers/pickup"
	"github.com/penstock-cd/penstock/controllers/release"
	"github.com/penstock-cd/penstock/controllers/stop"
	"github.com/penstock-cd/penstock/controllers/sweep"
	"github.com/penstock-cd/penstock/controllers/track"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

// site is the loops of one cluster that answers.
type site struct {
	cluster, uid string
	namespaces   []string
	access       *access
	rows         *store.Store
	reached      *fleet.Client
	dispatchers  []*dispatch.Dispatcher
	stopper      *stop.Stopper
	tracker      *track.Tracker
	releaser     *release.Releaser
	pickup       *pickup.Watcher
	sweeper      *sweep.Sweeper
	strays       *loop.Loop
	ended        time.Time // when it looked for stranded tasks last
	templates    *argo.Templates
	lookout      *lookout
	looks        *loop.Loop
	isServing    atomic.Bool
}

// newSite makes the loops of a cluster, none of them running.
func (k *keeper) newSite(lane store.ClusterLane, reached *fleet.Client, namespaces []string) (*site, error) {
	s, limits := k.Sites, k.limits.Load()
	bucket := limit.NewBucket(float64(limits.KubeAPIQPS), limits.KubeAPIBurst)
	lanes := []store.Lane{{Kind: store.KindCd, Cluster: lane.Cluster}, {Kind: store.KindCi, Cluster: lane.Cluster}}
	access, err := connect(k.provenWay(reached, lane.UID), bucket, lanes, namespaces)
	if err != nil {
		return nil, err
	}
	one := &site{
		cluster: lane.Cluster, uid: lane.UID, namespaces: namespaces, access: access, rows: s.Rows.In(lane.Cluster, lane.UID), reached: reached,
		templates: &argo.Templates{Reader: access.triggers[lanes[0]]},
	}
	for _, lane := range lanes {
		one.dispatchers = append(one.dispatchers, s.newDispatcher(one, lane))
	}
	one.lookout = newLookout(access.others, s.OnTemplate)
	one.looks = loop.New(loop.Config{Name: "lookout", Interval: strayInterval, Signal: &one.lookout.wake, Run: one.lookout.look, Log: s.Log.WithName("lookout")})
	one.addFollowing(s)
	return one, nil
}

func (s *Sites) newDispatcher(one *site, lane store.Lane) *dispatch.Dispatcher {
	there := one.access.triggers[lane]
	submitter := &argo.Submitter{
		Builders: s.Builders, Unowned: true,
		Cache: argo.ReadElsewhere(scheme, s.Cache, one.templates),
		Live:  argo.Elsewhere(s.Live, there),
	}
	dispatcher := dispatch.New(dispatch.Config{
		Lane: lane, Queue: one.rows, Worker: s.Worker, Submitter: submitter, Limit: inFlight(*s.limits.Load(), lane),
		Lease: s.Settings.TriggerLease, Grace: s.Settings.ShutdownGracePeriod, Busy: func(busy bool) { one.access.bucket.SetBusy(lane.Name(), busy) },
		Held: func() {}, Moved: s.Moved, Log: s.Log.WithValues("lane", lane.Name()),
	})
	submitter.Admits = dispatcher.Admits
	return dispatcher
}

// inFlight is how many triggers of a lane are in flight at once.
func inFlight(limits limits, lane store.Lane) int {
	if lane.Kind == store.KindCi {
		return limits.CiBatchSize
	}
	return limits.BatchSize.Size
}

// addFollowing makes the loops that follow Workflows which exist.
func (one *site) addFollowing(s *Sites) {
	log := s.Log.WithValues("cluster", one.cluster)
	cached := argo.ReadElsewhere(scheme, s.Cache, one.access.watch)
	live := argo.ReadElsewhere(scheme, s.Live, one.access.others)
	urgent := one.access.triggers[store.Lane{Kind: store.KindCd, Cluster: one.cluster}]
	one.stopper = stop.New(stop.Config{Rows: one.rows, Writer: urgent, Log: log.WithName("stop")})
	one.releaser = release.New(release.Config{
		Cache: one.access.watch, Live: one.access.others, Writer: one.access.others, Urgent: one.isDelayed, UrgentWriter: urgent,
		OnDue: func(since time.Time) { one.access.bucket.SetDue("release", since) }, Log: log.WithName("release"),
	})
	one.tracker = track.New(track.Config{
		Rows: one.rows, Live: one.access.others, Writer: one.access.others, Moved: s.Moved, Recorded: one.releaser.Recorded,
		Deleted: one.freed, Events: s.Events, Log: log.WithName("track"),
	})
	one.pickup = pickup.New(pickup.Config{
		Rows: one.rows, Cache: one.access.watch, Timeout: s.Settings.PickupTimeout, Moved: s.Moved, OnCount: func(int) {}, Log: log.WithName("pickup"),
	})
	one.sweeper = sweep.New(sweep.Config{
		Cache: cached, Live: live, Writer: one.access.others, Events: discard{}, Rows: one.rows, Tracker: one.tracker, Wake: one.wake,
		Interval: s.Settings.SweepInterval, Log: log.WithName("sweep"),
	})
	one.strays = loop.New(loop.Config{
		Name: "strays", Interval: strayInterval, Log: log,
		Run: func(ctx context.Context) (time.Duration, error) { return 0, one.endStrays(ctx, s.Moved) },
	})
}

// endStrays ends what may be in a cluster that had this name before, and stops what is of
// pipelines that are gone.
func (one *site) endStrays(ctx context.Context, moved func([]store.Moved)) error {
	var err error
	if now := time.Now(); now.Sub(one.ended) > strandedInterval {
		var stranded []store.Moved
		if stranded, err = one.rows.EndStranded(ctx); err == nil {
			one.ended = now
		}
		if len(stranded) > 0 {
			moved(stranded)
		}
	}
	stopped, stopErr := one.rows.StopDeleted(ctx)
	if stopped > 0 {
		one.stopper.Wake()
	}
	return errors.Join(err, stopErr)
}

func (one *site) isDelayed(namespace string) bool {
	return slices.ContainsFunc(one.dispatchers, func(d *dispatch.Dispatcher) bool {
		_, delayed := d.DelayOf(namespace)
		return delayed
	})
}

func (one *site) freed(namespace string) {
	for _, dispatcher := range one.dispatchers {
		dispatcher.Freed(namespace)
	}
}

func (one *site) wake() {
	for _, dispatcher := range one.dispatchers {
		dispatcher.Wake()
	}
	one.stopper.Wake()
}

// apply puts limits in force.
func (one *site) apply(limits limits) {
	one.access.bucket.SetLimit(float64(limits.KubeAPIQPS), limits.KubeAPIBurst)
	for _, dispatcher := range one.dispatchers {
		dispatcher.SetLimit(inFlight(limits, dispatcher.Lane))
		dispatcher.SetRate(limits.KubeAPIQPS)
		dispatcher.SetMaxActive(limits.MaxActiveWorkflows)
		dispatcher.SetShare(limits.MaxActivePerNamespace)
	}
}

// run runs the loops until the context ends or one of them fails. onServing is called when they
// begin.
func (one *site) run(ctx context.Context, onServing func()) error {
	if err := one.tracker.Watch(ctx, one.access.watch); err != nil { // once it has started, this would wait for the first list
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return one.access.watch.Start(ctx) })
	synced, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if !one.access.watch.WaitForCacheSync(synced) && ctx.Err() == nil {
		all.Go(func() error {
			return fmt.Errorf("list Workflows: not done within %s: check the right to list and watch workflows.argoproj.io", syncTimeout)
		})
		return all.Wait()
	}
	one.isServing.Store(true)
	defer one.isServing.Store(false)
	onServing()
	for _, start := range one.starts() {
		all.Go(func() error { return start(ctx) })
	}
	return all.Wait()
}

func (one *site) starts() []func(context.Context) error {
	starts := []func(context.Context) error{
		one.tracker.Start, one.stopper.Start, one.releaser.Start, one.pickup.Start, one.sweeper.Start, one.strays.Start, one.looks.Start,
	}
	for _, dispatcher := range one.dispatchers {
		starts = append(starts, dispatcher.Start)
	}
	return starts
}
