package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

// errAnew ends a site that is to be made anew.
var errAnew = errors.New("the cluster's credentials or namespaces are others now")

// keeper serves one cluster, again and again, as long as it has something to do.
type keeper struct {
	*Sites
	cluster string
	busy    time.Time // when it was wanted last; Sites.mu guards it
	end     atomic.Pointer[context.CancelFunc]
	stopped atomic.Bool
	ended   chan struct{}
	again   loop.Signal
	site    atomic.Pointer[site]
	lane    atomic.Pointer[store.ClusterLane] // open, or why nothing is triggered; nil before that is known
	rowOpen bool                              // whether the row says that the lane is open; only run and what it waits for touch it

	rights map[string]right // by namespace; only serve and what it waits for touch it

	namespacesMu sync.Mutex
	namespaces   map[string]bool
}

func newKeeper(s *Sites, cluster string) *keeper {
	return &keeper{Sites: s, cluster: cluster, ended: make(chan struct{}), namespaces: map[string]bool{}, rights: map[string]right{}}
}

// stop ends it. It does not wait.
func (k *keeper) stop() {
	k.stopped.Store(true)
	if end := k.end.Load(); end != nil {
		(*end)()
	}
}

// hasEnded tells whether nothing of it runs any more.
func (k *keeper) hasEnded() bool {
	select {
	case <-k.ended:
		return true
	default:
		return false
	}
}

// add has the watch see more namespaces.
func (k *keeper) add(namespaces map[string]bool) {
	k.namespacesMu.Lock()
	defer k.namespacesMu.Unlock()
	before := len(k.namespaces)
	maps.Copy(k.namespaces, namespaces)
	if len(k.namespaces) > before {
		k.again.Notify()
	}
}

func (k *keeper) watched() []string {
	k.namespacesMu.Lock()
	defer k.namespacesMu.Unlock()
	return slices.Sorted(maps.Keys(k.namespaces))
}

// run serves until the context ends or stop is called.
func (k *keeper) run(ctx context.Context) {
	defer close(k.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.end.Store(&cancel)
	if k.stopped.Load() {
		return
	}
	for ctx.Err() == nil {
		err := bounded.Protect(func() error { return k.serve(ctx) })
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAnew) {
			continue
		}
		crash.Tell(k.Log, "remote", err)
		k.note(ctx, err)
		k.rest(ctx)
	}
}

// rest waits before the cluster is asked again, or until it is reached otherwise.
func (k *keeper) rest(ctx context.Context) {
	timer := time.NewTimer(retry)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-k.again.C():
	}
}

// serve runs the cluster's loops until the cluster ceases to answer, or is another.
func (k *keeper) serve(ctx context.Context) error {
	reached, err := k.Members.Client(ctx, k.cluster)
	if err != nil {
		return err
	}
	select {
	case <-k.again.C(): // those that it told of are among what is read now
	default:
	}
	wanted := k.watched()
	namespaces, err := k.permittedAnew(ctx, reached, wanted)
	if err != nil {
		return err
	}
	if len(wanted) > 0 && len(namespaces) == 0 {
		return &shutError{forbidden(k.cluster, wanted)}
	}
	lane, err := k.open(ctx, reached)
	if err != nil {
		return err
	}
	if !lane.IsOpen() {
		return &shutError{lane}
	}
	if len(namespaces) == 0 {
		k.opened()
		return k.await(ctx)
	}
	one, err := k.newSite(lane, reached, namespaces)
	if err != nil {
		return err
	}
	k.site.Store(one)
	defer k.site.Store(nil)
	return k.runWatched(ctx, one)
}

// serves is called when the loops of a cluster begin.
func (k *keeper) serves(one *site) {
	one.apply(*k.limits.Load())
	k.opened()
	k.OnServing()
}

// runWatched runs the loops while the cluster is the one that it was and answers.
func (k *keeper) runWatched(ctx context.Context, one *site) error {
	ctx, end := context.WithCancelCause(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		end(k.watch(ctx, one))
	}()
	err := bounded.Protect(func() error { return one.run(ctx, func() { k.serves(one) }) })
	end(nil)
	<-watching
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// await waits until there is a namespace to serve.
func (k *keeper) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkInterval)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-k.again.C():
	}
	return errAnew
}

// open finds out who answers, and opens the lane where it is the right one.
func (k *keeper) open(ctx context.Context, reached *fleet.Client) (store.ClusterLane, error) {
	uid, err := uidOf(ctx, reached)
	if err != nil {
		return store.ClusterLane{}, err
	}
	home, err := k.Home(ctx)
	if err != nil {
		return store.ClusterLane{}, fmt.Errorf("find the UID of Penstock's own cluster: %w", err)
	}
	lane, err := k.Rows.OpenLane(ctx, k.cluster, uid, home)
	k.rowOpen = err != nil || lane.IsOpen() // after an error nobody knows
	return lane, err
}

// watch returns when the site must end: its cluster does not answer any more, is another, or is
// reached otherwise, or another namespace is to be watched.
func (k *keeper) watch(ctx context.Context, one *site) error {
	failures := 0
	for {
		timer := time.NewTimer(checkInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-k.again.C():
			timer.Stop()
		case <-timer.C:
		}
		if wanted, err := k.permitted(ctx, one.reached, k.watched()); err == nil && !slices.Equal(wanted, one.namespaces) {
			return errAnew
		}
		err := k.confirm(ctx, one)
		if failures++; err == nil {
			failures = 0
		}
		if isFinal(err) || failures == mostFailures {
			return err
		}
	}
}

// isFinal tells whether an error is not one that passes.
func isFinal(err error) bool {
	var shut *shutError
	return errors.As(err, &shut) || errors.Is(err, fleet.ErrNoMember) || errors.Is(err, errAnew)
}

// confirm asks the cluster who it is, unless it is reached otherwise now.
func (k *keeper) confirm(ctx context.Context, one *site) error {
	reached, err := k.Members.Client(ctx, k.cluster)
	if err != nil {
		return err
	}
	if reached != one.reached {
		return errAnew
	}
	uid, err := uidOf(ctx, one.reached)
	if err != nil {
		return err
	}
	lane, exists, err := k.Rows.LaneOf(ctx, k.cluster)
	if err != nil {
		return nil //nolint:nilerr // the database is away, which says nothing of the cluster
	}
	if !exists || lane.UID != one.uid {
		return errAnew // another name of the cluster has taken it over, or a person has confirmed another
	}
	if uid == one.uid {
		return nil
	}
	return &shutError{store.ClusterLane{
		Cluster: k.cluster, UID: one.uid, SeenUID: uid, Reason: v1alpha1.ReasonClusterChanged, Message: "another cluster answers",
	}}
}

// shutError is that a lane must not open.
type shutError struct{ lane store.ClusterLane }

// Error implements error.
func (e *shutError) Error() string { return e.lane.Message }

// note keeps why nothing is triggered, in memory and in one row, and tells it where that is new.
func (k *keeper) note(ctx context.Context, err error) {
	lane := laneOf(k.cluster, err)
	before := k.lane.Load()
	if !k.rowOpen && before != nil && before.Reason == lane.Reason && before.Message == lane.Message {
		return
	}
	lane.Since = time.Now()
	if before != nil && before.Reason == lane.Reason {
		lane.Since = before.Since
	}
	if err := k.Rows.ShutLane(ctx, lane); err != nil {
		k.Log.Error(err, "shut lane not recorded, will retry", "cluster", k.cluster)
		return
	}
	k.rowOpen = false
	k.lane.Store(&lane)
	if before == nil || before.Reason != lane.Reason {
		k.Log.Info("nothing is triggered in the cluster for now", "cluster", k.cluster, "reason", lane.Reason, "message", lane.Message)
	}
	k.OnLane(k.cluster)
}

// opened tells that the lane is open, where it was not.
func (k *keeper) opened() {
	if before := k.lane.Swap(&store.ClusterLane{Cluster: k.cluster}); before != nil && !before.IsOpen() {
		k.Log.Info("triggers go on in the cluster", "cluster", k.cluster, "after", time.Since(before.Since).Round(time.Millisecond).String())
		k.OnLane(k.cluster)
	}
}

// laneOf is a pure function: what an error means for the lane of a cluster.
func laneOf(cluster string, err error) store.ClusterLane {
	var shut *shutError
	var failure *fleet.Failure
	switch {
	case errors.As(err, &shut):
		return shut.lane
	case errors.As(err, &failure):
		return store.ClusterLane{Cluster: cluster, Reason: failure.Class, Message: failure.Message}
	case errors.Is(err, fleet.ErrNoMember):
		return store.ClusterLane{
			Cluster: cluster, Reason: v1alpha1.ReasonClusterUnknown,
			Message: fmt.Sprintf("there is no TargetCluster %s that can be asked: create it, or correct spec.clusterRef; one that is virtual or suspended runs nothing", cluster),
		}
	case err == nil:
		return store.ClusterLane{Cluster: cluster, Reason: v1alpha1.ReasonTimeout, Message: "its loops have ended"}
	default:
		return store.ClusterLane{Cluster: cluster, Reason: v1alpha1.ReasonNotReady, Message: err.Error()}
	}
}
