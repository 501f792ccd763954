// Package remote observes which other clusters have tasks, and runs for each of them the loops
// that create, follow, stop and release Workflows there.
//
// A cluster costs nothing while it has no tasks. One that does not answer has its lane shut: one
// row says why, nothing of it is claimed, and it is asked again every few seconds.
package remote

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// interval is how often it looks which clusters have tasks, minInterval the least time
	// between two looks.
	interval, minInterval = 2 * time.Second, 200 * time.Millisecond
	// idleTime is for how long the loops of a cluster run on that has nothing to do.
	idleTime = 2 * time.Minute
	// retry is the pause before a cluster that does not answer is asked again.
	retry = 4 * time.Second
	// checkInterval is how often a cluster that is served is asked who it is, mostFailures after
	// how many failures in a row its lane is shut.
	checkInterval, mostFailures = 5 * time.Second, 3
	// probeTimeout bounds asking a cluster who it is, maxNamespace the bytes of its answer.
	probeTimeout, maxNamespace = 4 * time.Second, 1 << 20
	// syncTimeout bounds the first list of Workflows.
	syncTimeout = time.Minute
	// strayInterval is how often it looks for what nobody else would end.
	strayInterval = 5 * time.Second
	// strandedInterval is how often it looks for tasks of a cluster that had this name before,
	// beside at the start.
	strandedInterval = time.Minute
)

// Members are the TargetClusters.
type Members interface {
	// Client returns the client of a TargetCluster, the same while nothing changes.
	Client(ctx context.Context, name string) (*fleet.Client, error)
}

// None are no TargetClusters, as where Penstock may not read them.
type None struct{}

// Client implements Members.
func (None) Client(context.Context, string) (*fleet.Client, error) { return nil, fleet.ErrNoMember }

// limits are those that each cluster has.
type limits = config.Config

// Config is what Sites need. Every field is required.
type Config struct {
	// Cache reads Penstock's kinds from memory; Live at home's API server, in the trigger class.
	Cache client.Reader
	Live  client.Client
	// Members are the clusters.
	Members Members
	// Rows are the tables as seen from home.
	Rows *store.Store
	// Home returns the UID of the cluster that Penstock runs in.
	Home func(ctx context.Context) (string, error)
	// Builders make the Workflows.
	Builders argo.Builders
	// Worker is this process, of all its lanes.
	Worker *dispatch.Worker
	// Moved is told of tasks that changed, after the commit.
	Moved func([]store.Moved)
	// OnTemplate is told that a template which a stage waits for has appeared. It must not block.
	OnTemplate func()
	// OnServing is told that the loops of a cluster have begun. It must not block.
	OnServing func()
	// OnLane is told of clusters whose lane has opened or shut. It must not block.
	OnLane func(cluster string)
	// Events records events on CdPipelines.
	Events events.EventRecorder
	// Settings are the limits at the start, and the times.
	Settings config.Config
	Log      logr.Logger
}

// Sites runs the loops of other clusters.
type Sites struct {
	*loop.Loop
	Config
	wakes  loop.Signal
	limits atomic.Pointer[limits]

	mu      sync.Mutex
	keepers map[string]*keeper
	asked   map[string]time.Time // clusters that somebody wanted something of
	// began tells that all clusters were looked at once: what a crash has left there.
	began bool
}

// New returns Sites that do nothing until they are started.
func New(config Config) *Sites {
	s := &Sites{Config: config, keepers: map[string]*keeper{}, asked: map[string]time.Time{}}
	s.limits.Store(fixed(config.Settings))
	s.Loop = loop.New(loop.Config{
		Name: "remote", Run: s.runOnce, Signal: &s.wakes, Interval: interval, MinInterval: minInterval, Retry: interval, Log: config.Log,
	})
	return s
}

// fixed gives a batch size that is found by itself at home its default elsewhere.
func fixed(settings config.Config) *limits {
	if settings.BatchSize.Auto || settings.BatchSize.Size < 1 {
		settings.BatchSize.Size = defaultBatchSize
	}
	return &settings
}

// defaultBatchSize is that of CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE.
const defaultBatchSize = 5

// Start runs until the context ends, and returns when no loop of any cluster runs.
func (s *Sites) Start(ctx context.Context) error {
	err := s.Loop.Start(ctx)
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.keepers))
	s.mu.Unlock()
	for _, one := range all {
		one.stop()
	}
	for _, one := range all {
		<-one.ended
	}
	return err
}

// Wake says that there may be tasks in clusters that had some already. It never blocks.
func (s *Sites) Wake() {
	for _, one := range s.serving() {
		one.wake()
	}
}

// Changed says that a TargetCluster, or its Secret, is another now. It never blocks.
func (s *Sites) Changed(cluster string) {
	s.mu.Lock()
	kept := s.keepers[cluster]
	s.mu.Unlock()
	if kept != nil {
		kept.again.Notify()
	}
}

// Apply puts limits in force, those of each cluster.
func (s *Sites) Apply(settings config.Config) {
	limits := fixed(settings)
	s.limits.Store(limits)
	for _, one := range s.serving() {
		one.apply(*limits)
	}
}

// serving are the sites that run.
func (s *Sites) serving() []*site {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*site
	for _, one := range s.keepers {
		if site := one.site.Load(); site != nil && site.isServing.Load() {
			all = append(all, site)
		}
	}
	return all
}

// Templates returns who reads the templates of a cluster, from memory; false where that is not
// known now. It is known soon where the cluster answers.
func (s *Sites) Templates(cluster string) (client.Reader, bool) {
	if one := s.served(cluster); one != nil {
		return one.lookout, true
	}
	return nil, false
}

// Workflows returns who reads Workflows at the API server of a cluster, in the trigger class of
// its token bucket; false where it is not served now. It is soon where it answers.
func (s *Sites) Workflows(cluster string) (client.Reader, bool) {
	if one := s.served(cluster); one != nil {
		return one.access.triggers[store.Lane{Kind: store.KindCi, Cluster: cluster}], true
	}
	return nil, false
}

// Recorded lets Workflows of a cluster go. Where it is not served now, its next start does.
func (s *Sites) Recorded(cluster string, workflows []types.NamespacedName) {
	if one := s.served(cluster); one != nil {
		one.releaser.Recorded(workflows)
	}
}

// served returns the site of a cluster that somebody wants something of; nil where none runs. One
// is begun then.
func (s *Sites) served(cluster string) *site {
	s.mu.Lock()
	s.asked[cluster] = time.Now()
	kept := s.keepers[cluster]
	s.mu.Unlock()
	if kept == nil {
		s.wakes.Notify()
		return nil
	}
	if one := kept.site.Load(); one != nil && one.isServing.Load() {
		return one
	}
	return nil
}

// runOnce has a keeper for each cluster that has something to do.
func (s *Sites) runOnce(ctx context.Context) (time.Duration, error) {
	busy, err := s.Rows.BusyClusters(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	now := time.Now()
	wanted := map[string]map[string]bool{}
	for _, one := range busy {
		want(wanted, one.Cluster, one.Namespace)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for cluster, at := range s.asked {
		if now.Sub(at) > idleTime {
			delete(s.asked, cluster)
		} else {
			want(wanted, cluster, "")
		}
	}
	if s.hasNew(wanted) {
		s.addNamespaces(ctx, wanted)
	}
	for cluster, namespaces := range wanted {
		s.keep(ctx, cluster, namespaces, now)
	}
	for cluster, one := range s.keepers {
		if now.Sub(one.busy) > idleTime && !mayHoldWorkflows(one.lane.Load()) {
			one.stop()
		}
		if one.hasEnded() {
			delete(s.keepers, cluster)
		}
	}
	return 0, nil
}

// mayHoldWorkflows tells whether a cluster that does not answer may have Workflows that wait to be
// let go.
func mayHoldWorkflows(lane *store.ClusterLane) bool {
	return lane != nil && !lane.IsOpen() && lane.Reason != v1alpha1.ReasonClusterUnknown
}

// Lane returns the lane of a cluster as it is now; nil where there is nothing to do there, so that
// nobody looks. known is false while that is being found out.
func (s *Sites) Lane(cluster string) (lane *store.ClusterLane, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.keepers[cluster]
	if kept == nil {
		_, isAsked := s.asked[cluster]
		return nil, s.began && !isAsked
	}
	lane = kept.lane.Load()
	return lane, lane != nil
}

// begin wants every cluster once, which may have Workflows to let go, to stop or to adopt although
// no task there has not ended.
func (s *Sites) begin(ctx context.Context) error {
	if s.began {
		return nil
	}
	lanes, err := s.Rows.Lanes(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, lane := range lanes {
		if lane.UID != "" {
			s.asked[lane.Cluster] = time.Now()
		}
	}
	s.began = true
	return nil
}

func want(wanted map[string]map[string]bool, cluster, namespace string) {
	if wanted[cluster] == nil {
		wanted[cluster] = map[string]bool{}
	}
	if namespace != "" {
		wanted[cluster][namespace] = true
	}
}

// hasNew tells whether a wanted cluster has no keeper yet. The caller holds the lock.
func (s *Sites) hasNew(wanted map[string]map[string]bool) bool {
	for cluster := range wanted {
		if s.keepers[cluster] == nil {
			return true
		}
	}
	return false
}

// addNamespaces adds those of the pipelines of each wanted cluster, so that its watch need not
// begin again with each of them.
func (s *Sites) addNamespaces(ctx context.Context, wanted map[string]map[string]bool) {
	var runs v1alpha1.CdPipelineList
	var builds v1alpha1.CiPipelineList
	for _, list := range []client.ObjectList{&runs, &builds} {
		if err := s.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			s.Log.Error(err, "pipelines of clusters not found in cache, the next look does it")
			return
		}
	}
	for i := range runs.Items {
		if namespaces := wanted[trigger.ClusterOf(&runs.Items[i])]; namespaces != nil {
			namespaces[runs.Items[i].Namespace] = true
		}
	}
	for i := range builds.Items {
		if namespaces := wanted[trigger.BuildCluster(&builds.Items[i])]; namespaces != nil {
			namespaces[builds.Items[i].Namespace] = true
		}
	}
}

// keep makes sure that a cluster has a keeper which knows the namespaces. The caller holds the
// lock.
func (s *Sites) keep(ctx context.Context, cluster string, namespaces map[string]bool, now time.Time) {
	one := s.keepers[cluster]
	if one != nil && one.stopped.Load() && !one.hasEnded() {
		s.wakes.Notify() // one at a time
		return
	}
	if one == nil || one.hasEnded() {
		one = newKeeper(s, cluster)
		s.keepers[cluster] = one
		go one.run(ctx)
	}
	one.busy = now
	one.add(namespaces)
}
