package controllers

import (
	"context"
	"reflect"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/controllers/adapt"
	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/controllers/hold"
	"github.com/penstock-cd/penstock/controllers/prune"
	"github.com/penstock-cd/penstock/controllers/remote"
	"github.com/penstock-cd/penstock/controllers/settings"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// firstAutomatic is where an automatic batch size begins: the default of a fixed one.
const firstAutomatic = 5

func firstLimit(size config.BatchSize) int {
	if size.Auto {
		return firstAutomatic
	}
	return size.Size
}

// limits are the parts that hold one each.
type limits struct {
	bucket     *limit.Bucket
	dispatcher *dispatch.Dispatcher
	builds     *dispatch.Dispatcher
	adapter    *adapt.Adapter
	history    *prune.Rows
	freeze     *freeze
	holder     *hold.Holder
	sites      *remote.Sites
}

// apply puts the limits of a configuration in force, also while everything runs.
func (l limits) apply(c config.Config) {
	l.bucket.SetLimit(float64(c.KubeAPIQPS), c.KubeAPIBurst)
	for _, lane := range []*dispatch.Dispatcher{l.dispatcher, l.builds} {
		lane.SetRate(c.KubeAPIQPS)
		lane.SetMaxActive(c.MaxActiveWorkflows)
		lane.SetShare(c.MaxActivePerNamespace)
	}
	l.builds.SetLimit(c.CiBatchSize)
	l.sites.Apply(c)
	if l.freeze.set(c.Freeze) {
		l.holder.Refreeze()
	}
	l.history.SetRetention(time.Duration(c.HistoryRetention))
	if c.BatchSize.Auto {
		l.adapter.Adapt(c.BatchSizeCeiling)
		return
	}
	l.adapter.Fix(c.BatchSize.Size)
}

// freeze is the one that is in force.
type freeze struct {
	now atomic.Pointer[trigger.Freeze]
}

// get returns it; the zero Freeze where there is none.
func (f *freeze) get() trigger.Freeze {
	if now := f.now.Load(); now != nil {
		return *now
	}
	return trigger.Freeze{}
}

// set puts another in force, and tells whether it is another.
func (f *freeze) set(next config.Freeze) bool {
	wanted := trigger.Freeze(next)
	changed := !reflect.DeepEqual(f.get(), wanted)
	f.now.Store(&wanted)
	return changed
}

// acquireWait tells for how long calls have waited for a connection because all were
// in use, and how many were acquired.
func acquireWait(database *store.Store) func() (time.Duration, int64) {
	return func() (time.Duration, int64) {
		stat := database.Pool().Stat()
		return stat.EmptyAcquireWaitTime(), stat.AcquireCount()
	}
}

// watchSettings has the ConfigMap change the limits, where there can be one. It
// returns what loads it at once.
func (l *loops) watchSettings(mgr manager.Manager, deps Dependencies, apply func(config.Config)) (load func(context.Context) error, err error) {
	if deps.Namespace == "" {
		deps.Log.Info("POD_NAMESPACE is not known, so that limits can't be changed while the controller runs")
		environment := deps.Config.InForce(deps.Config, nil)
		l.inForce = func() []config.InForce { return environment }
		return func(context.Context) error { return nil }, nil
	}
	watched := settings.New(settings.Config{
		Namespace: deps.Namespace, Cache: mgr.GetCache(), Environment: deps.Config, Apply: apply,
		Events: mgr.GetEventRecorder("penstock"), Log: deps.Log.WithName("settings"),
	})
	l.inForce = watched.InForce
	return watched.Load, watched.Register(mgr)
}

// runnable is what a leader runs.
type runnable interface {
	manager.Runnable
	manager.LeaderElectionRunnable
}

// limited is a loop that does nothing before something else is done: before the ConfigMap's
// limits are in force, since the environment's may allow more, or before what Kubernetes
// tells was compared with the rows.
type limited struct {
	runnable
	load func(context.Context) error
}

// Start waits for that, and starts the loop.
func (l limited) Start(ctx context.Context) error {
	if err := l.load(ctx); err != nil && ctx.Err() == nil { // a shutdown is no error
		return err
	}
	return l.runnable.Start(ctx)
}
