package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/store"
)

// write is one status patch.
type write struct {
	record           *record
	original, change *v1alpha1.TargetCluster
}

// addWrite adds the write that a cluster needs, if any. The caller holds the lock.
func (p *Prober) addWrite(writes []write, cluster *v1alpha1.TargetCluster, known *record, now time.Time) []write {
	before := cluster.Status
	if known.written != nil && known.writtenOver == cluster.ResourceVersion {
		before = *known.written
	} else {
		known.written = nil
	}
	after := statusOf(before, cluster.Generation, known.health)
	if lane, known := p.Lane(cluster.Name); known {
		tellLane(&after, cluster.Generation, lane)
	}
	isNew := known.health.Reason == v1alpha1.ReasonNotProbed && !known.health.IsSuspect()
	if isNew || !needsWrite(before, after, now) { // the first probe tells more
		return writes
	}
	original := cluster.DeepCopy()
	changed := original.DeepCopy()
	changed.Status = after
	return append(writes, write{record: known, original: original, change: changed})
}

// write patches statuses. One that fails does not keep the others, and is tried again.
func (p *Prober) write(ctx context.Context, writes []write) error {
	var failed error
	for i, err := range bounded.ForEach(ctx, writers, writeTimeout, writes, p.apply) {
		crash.Tell(p.Log, "cluster", err)
		// The next look has what the cache will show then.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			failed = fmt.Errorf("write status of TargetCluster %s: %w", writes[i].original.Name, err) // a write that was left behind may still change the other
		}
	}
	return failed
}

// apply patches the status, then records the event. The patch is refused where the object
// has changed since the cache has read it.
func (p *Prober) apply(ctx context.Context, w write) error {
	after := *w.change.Status.DeepCopy() // the answer to the patch is decoded into the object
	patch := client.MergeFromWithOptions(w.original, client.MergeFromWithOptimisticLock{})
	if err := p.Writer.Status().Patch(ctx, w.change, patch); err != nil {
		return err
	}
	p.mu.Lock()
	before := w.original.Status
	if w.record.written != nil {
		before = *w.record.written
	}
	w.record.written, w.record.writtenOver = &after, w.original.ResourceVersion
	p.mu.Unlock()
	if kind, reason, note, ok := news(before, after); ok {
		p.Events.Eventf(w.change, nil, kind, reason, "Probe", "%s", note)
	}
	if kind, reason, note, ok := laneNews(before, after); ok {
		p.Events.Eventf(w.change, nil, kind, reason, "Trigger", "%s", note)
	}
	return nil
}

// record writes the history. What can't be written now is kept.
func (p *Prober) record(ctx context.Context) error {
	p.mu.Lock()
	changes := p.history
	p.history = nil
	p.mu.Unlock()
	if len(changes) == 0 {
		return nil
	}
	err := p.History.RecordClusterEvents(ctx, changes)
	if err == nil {
		return nil
	}
	if store.IsInvalid(err) {
		p.Log.Error(err, "history of clusters refused by the database, dropped", "changes", len(changes))
		return nil
	}
	p.mu.Lock()
	p.history = append(changes, p.history...)
	p.mu.Unlock()
	return err
}

// tell logs what kept a cluster from being probed.
func (p *Prober) tell(name string, err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, fleet.ErrNoMember) {
		return
	}
	crash.Tell(p.Log, "cluster", err)
	p.Log.Error(err, "cluster not probed, will retry", "cluster", name)
}
