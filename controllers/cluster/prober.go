// Package cluster observes TargetClusters and the API servers that they name, and writes
// how the clusters do: their status, their history in Postgres, and Kubernetes events.
package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=targetclusters/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io;"",resources=events,verbs=create;patch

const (
	// tick is how often it looks whether a probe is due; minInterval is the least time
	// between two looks.
	tick, minInterval = time.Second, 50 * time.Millisecond
	// jitter is the share of the interval by which two probes of a cluster differ, so that
	// clusters are not probed in step for ever.
	jitter = 0.1
	// suspectInterval is the longest time from a probe that failed to the one that decides.
	suspectInterval = 10 * time.Second
	// detailsInterval is how often the version and the rights are asked for.
	detailsInterval = 10 * time.Minute
	// clientTimeout bounds reading a kubeconfig, waiting for others and for the API's token
	// bucket included. A probe has fleet.ProbeTimeout after that.
	clientTimeout = 30 * time.Second
	// writers is how many status writes are in flight at once, mostWrites how many there are
	// in one look, so that probes do not wait for them long.
	writers, mostWrites = 8, 40
	// writeTimeout bounds one status write, waiting for the API's token bucket included.
	writeTimeout = 15 * time.Second
	// mostHistory is how many changes wait in memory while the database is away.
	mostHistory = 10000
)

// History keeps what has changed.
type History interface {
	// RecordClusterEvents keeps changes, in order. It may be called again after an error.
	RecordClusterEvents(ctx context.Context, events []store.ClusterEvent) error
}

// Config is what a Prober needs.
type Config struct {
	// Members are the clusters. The prober listens to its informers while it runs.
	Members fleet.MembersConfig
	// Writer patches the status of TargetClusters.
	Writer  client.Client
	History History
	Events  events.EventRecorder
	// Lane returns the lane of a cluster; nil where nobody looks, since there is nothing to do
	// there. known is false while that is being found out. It must not block.
	Lane func(cluster string) (lane *store.ClusterLane, known bool)
	// Kinds are those that Penstock wants to list in the clusters.
	Kinds []fleet.Kind
	// Interval is the time between two probes of one cluster.
	Interval time.Duration
	// Parallelism is how many clusters are probed at once.
	Parallelism int
	Log         logr.Logger
}

// Prober asks every cluster how it does, again and again.
type Prober struct {
	*loop.Loop
	Config
	Members *fleet.Members
	pool    *bounded.Pool[attempt]
	feeders sync.WaitGroup
	wake    loop.Signal
	started atomic.Bool

	mu      sync.Mutex
	records map[string]*record
	history []store.ClusterEvent
}

// attempt is one probe of one cluster.
type attempt struct {
	record *record
	name   string
	kinds  []fleet.Kind
	begin  time.Time
}

// record is what is known of one TargetCluster. Prober.mu guards it.
type record struct {
	uid       types.UID
	health    fleet.Health
	isProbing bool
	due       time.Time
	asked     time.Time // when the details were asked for last
	// written is the status that the last write left, over an object of the version
	// writtenOver, until the cache shows a newer one.
	written     *v1alpha1.TargetClusterStatus
	writtenOver string
}

// New returns a prober that does nothing until it is started.
func New(config Config) *Prober {
	p := &Prober{Config: config, records: map[string]*record{}}
	also := config.Members.OnChange
	config.Members.OnChange = func(name string) {
		p.changed(name)
		if also != nil {
			also(name)
		}
	}
	p.Members = fleet.NewMembers(config.Members)
	p.pool = bounded.NewPool(bounded.Config[attempt]{Limit: config.Parallelism, Run: p.probe, Done: p.probed})
	p.Loop = loop.New(loop.Config{
		Name: "cluster", Run: p.runOnce, Signal: &p.wake, Interval: tick, MinInterval: minInterval, Retry: tick, Log: config.Log,
	})
	return p
}

// Start probes until the context ends, and returns when no probe is under way and no
// connection is open.
func (p *Prober) Start(ctx context.Context) error {
	if p.started.Swap(true) {
		return loop.ErrStarted
	}
	stop, err := p.Members.Listen(ctx)
	defer stop()
	if ctx.Err() != nil {
		return nil // a shutdown is no error
	}
	if err != nil {
		return err
	}
	err = p.Loop.Start(ctx)
	ended, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel()
	_ = p.pool.Shutdown(ended) // ends the probes under way at once
	p.feeders.Wait()
	p.pool.Wait()
	forgetMetrics()
	return err
}

// changed has a cluster probed at once, since it, or its Secret, is another.
func (p *Prober) changed(name string) {
	p.mu.Lock()
	if known := p.records[name]; known != nil {
		known.due, known.asked = time.Time{}, time.Time{}
	}
	p.mu.Unlock()
	p.wake.Notify()
}

// runOnce starts the probes that are due, and writes what has changed.
func (p *Prober) runOnce(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	clusters, err := p.Members.All(ctx, labels.Everything())
	if err != nil {
		return 0, err
	}
	p.forget(clusters)
	due, writes := p.look(clusters, now)
	p.disconnect(clusters)
	if len(due) > 0 {
		p.feeders.Go(func() { p.feed(ctx, due) })
	}
	p.measure()
	historyErr := p.record(ctx)
	if err := p.write(ctx, writes); err != nil {
		return 0, err
	}
	if len(writes) == mostWrites {
		p.wake.Notify()
	}
	return 0, historyErr
}

// forget drops clusters that are gone.
func (p *Prober) forget(clusters []v1alpha1.TargetCluster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	existing := make(map[string]types.UID, len(clusters))
	for i := range clusters {
		existing[clusters[i].Name] = clusters[i].UID
	}
	for name, known := range p.records {
		if existing[name] != known.uid {
			delete(p.records, name)
			up.DeleteLabelValues(name)
		}
	}
}

// feed starts probes as slots become free, so that no slot waits for the next look.
func (p *Prober) feed(ctx context.Context, due []attempt) {
	for _, one := range due {
		if err := p.pool.Go(ctx, one); err != nil {
			p.release(one)
		}
	}
}

// look returns the probes to start, and the statuses to write.
func (p *Prober) look(clusters []v1alpha1.TargetCluster, now time.Time) (due []attempt, writes []write) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range clusters {
		cluster := &clusters[i]
		known := p.recordOf(cluster)
		if health, ok := fleet.Uncontacted(known.health, cluster.Spec, now); ok {
			p.settle(cluster.Name, known, health, now)
			known.due = time.Time{}
			up.DeleteLabelValues(cluster.Name)
		} else if !known.isProbing && !now.Before(known.due) {
			due = append(due, p.begin(cluster.Name, known, now))
		}
		if len(writes) < mostWrites {
			writes = p.addWrite(writes, cluster, known, now)
		}
	}
	return due, writes
}

// disconnect closes the connections to clusters that are not to be contacted.
func (p *Prober) disconnect(clusters []v1alpha1.TargetCluster) {
	for i := range clusters {
		if spec := &clusters[i].Spec; spec.Suspend || spec.Virtual {
			p.Members.Remove(clusters[i].Name)
		}
	}
}

// recordOf returns what is known of a cluster. A replica that has just become the leader
// knows what the status tells.
func (p *Prober) recordOf(cluster *v1alpha1.TargetCluster) *record {
	known := p.records[cluster.Name]
	if known == nil {
		known = &record{uid: cluster.UID, health: fleet.HealthOf(cluster.Status)}
		p.records[cluster.Name] = known
	}
	return known
}

// begin marks a cluster as being probed. The details are asked for now and then, and
// whenever the cluster was not Healthy: it may have been upgraded.
func (p *Prober) begin(name string, known *record, now time.Time) attempt {
	known.isProbing, known.due = true, now.Add(p.Interval)
	one := attempt{record: known, name: name, begin: now}
	if known.health.Phase != v1alpha1.ClusterHealthy || now.Sub(known.asked) >= detailsInterval {
		one.kinds = p.Kinds
	}
	return one
}

// probe asks one cluster.
func (p *Prober) probe(ctx context.Context, one attempt) error {
	seen, err := p.observe(ctx, one)
	if err != nil || ctx.Err() != nil {
		return err
	}
	probeSeconds.Observe(seen.Ended.Sub(seen.Began).Seconds())
	p.mu.Lock()
	defer p.mu.Unlock()
	if seen.Failure == nil && one.kinds != nil {
		one.record.asked = seen.Ended
	}
	p.settle(one.name, one.record, fleet.Judge(one.record.health, seen), seen.Ended)
	return nil
}

// observe returns an error where nothing was learned of the cluster itself.
func (p *Prober) observe(ctx context.Context, one attempt) (fleet.Observation, error) {
	getting, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	reached, err := p.Members.Client(getting, one.name)
	var failure *fleet.Failure
	if errors.As(err, &failure) {
		return fleet.Observation{Began: one.begin, Ended: time.Now(), Failure: failure}, nil
	}
	if err != nil {
		return fleet.Observation{}, err
	}
	return fleet.Probe(ctx, reached, one.kinds), nil
}

// settle keeps what is believed of a cluster from now on, and notes a change for the
// history. The caller holds the lock.
func (p *Prober) settle(name string, known *record, health fleet.Health, at time.Time) {
	before := known.health
	known.health = health
	if before.Phase == health.Phase && before.Reason == health.Reason && before.Version == health.Version {
		return
	}
	if len(p.history) >= mostHistory {
		p.Log.Info("history of clusters dropped, the database was away for too long", "changes", len(p.history))
		p.history = nil
	}
	p.history = append(p.history, store.ClusterEvent{
		UID: string(known.uid), Cluster: name, Phase: string(health.Phase), Reason: string(health.Reason),
		Message: health.Message, Version: health.Version, At: at,
	})
}

// probed frees a cluster for its next probe, however this one ended.
func (p *Prober) probed(one attempt, err error) {
	p.tell(one.name, err)
	p.mu.Lock()
	one.record.isProbing = false
	if !one.record.due.IsZero() { // else it has changed meanwhile
		one.record.due = one.begin.Add(p.next(one.record.health))
	}
	p.mu.Unlock()
	p.wake.Notify()
}

// release frees a cluster that was not probed, since there is a shutdown.
func (p *Prober) release(one attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.record.isProbing = false
}

func (p *Prober) next(health fleet.Health) time.Duration {
	interval := p.Interval
	if health.IsSuspect() {
		interval = min(interval, suspectInterval)
	}
	return time.Duration(float64(interval) * (1 + jitter*(2*rand.Float64()-1)))
}

func (p *Prober) measure() {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := map[v1alpha1.ClusterPhase]int{}
	for name, known := range p.records {
		counts[known.health.Phase]++
		switch {
		case known.health.IsUp():
			up.WithLabelValues(name).Set(1)
		case known.health.Phase != v1alpha1.ClusterVirtual && known.health.Phase != v1alpha1.ClusterUnknown:
			up.WithLabelValues(name).Set(0)
		}
	}
	for _, phase := range phases {
		byPhase.WithLabelValues(string(phase)).Set(float64(counts[phase]))
	}
}
