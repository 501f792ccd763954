package report

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// delayedInterval is the least time between two looks at what is delayed in one
	// namespace.
	delayedInterval = 5 * time.Second
	// delayedPause is the same for each build and pipeline that is reported only since the
	// next attempt is another, over all namespaces: there may be thousands.
	delayedPause = 500 * time.Millisecond
	// mostDelayed is how many tasks of a namespace are reported then: the first of the queue.
	mostDelayed = 200
)

// delays are the namespaces of which delayed tasks are to be reported.
type delays struct {
	mu     sync.Mutex
	marked map[string]bool
	// told is when each was reported last, and of which builds and pipelines.
	told map[string]toldDelay
}

type toldDelay struct {
	at, refreshed     time.Time
	builds, pipelines []types.NamespacedName
}

func newDelays() *delays { return &delays{marked: map[string]bool{}, told: map[string]toldDelay{}} }

// due removes and returns the marked namespaces that may be reported now, and for how long
// to wait for the next of the others; 0 where there is none.
func (d *delays) due(now time.Time) (due []string, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, namespace := range slices.Sorted(maps.Keys(d.marked)) {
		left := d.told[namespace].at.Add(delayedInterval).Sub(now)
		if left <= 0 {
			due = append(due, namespace)
			delete(d.marked, namespace)
		} else if wait == 0 || left < wait {
			wait = left
		}
	}
	return due, wait
}

func (d *delays) mark(namespace string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marked[namespace] = true
}

// tell takes note of what is delayed in a namespace, and returns the builds and pipelines to
// be reported: those that were not before, those that are not any more, and, now and then,
// all.
func (d *delays) tell(namespace string, now time.Time, builds, pipelines []types.NamespacedName) (changedBuilds, changedPipelines []types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before, all := d.told[namespace], 0
	told := toldDelay{at: now, refreshed: before.refreshed, builds: builds, pipelines: pipelines}
	d.told[namespace] = told
	for _, one := range d.told {
		all += len(one.builds) + len(one.pipelines)
	}
	if now.Sub(before.refreshed) >= max(delayedInterval, time.Duration(all)*delayedPause) {
		before.builds, before.pipelines = slices.Concat(before.builds, builds), slices.Concat(before.pipelines, pipelines)
		told.refreshed = now
		d.told[namespace] = told
	} else {
		before.builds, before.pipelines = difference(before.builds, builds), difference(before.pipelines, pipelines)
	}
	if len(builds) == 0 {
		delete(d.told, namespace)
	}
	return before.builds, before.pipelines
}

// difference returns what is in one of the lists only.
func difference(a, b []types.NamespacedName) []types.NamespacedName {
	times := map[types.NamespacedName]int{}
	for _, name := range slices.Concat(a, b) {
		times[name]++
	}
	maps.DeleteFunc(times, func(_ types.NamespacedName, times int) bool { return times > 1 })
	return slices.Collect(maps.Keys(times))
}

// Delayed says that Workflows of a namespace are refused, or no longer. It never blocks.
func (r *Reporter) Delayed(namespace string) {
	r.delays.mark(namespace)
	r.builds.wake.Notify()
}

// LaneMoved says that the lane of a cluster has opened or shut. It never blocks.
func (r *Reporter) LaneMoved(cluster string) {
	r.lanes.Store(cluster, true)
	r.builds.wake.Notify()
}

// addLanes has the first of those builds and pipelines reported that wait in clusters whose
// lane has moved.
func (r *Reporter) addLanes(ctx context.Context) (err error) {
	r.lanes.Range(func(cluster, _ any) bool {
		r.lanes.Delete(cluster)
		builds, pipelines, failed := r.Rows.WaitingIn(ctx, cluster.(string), mostDelayed)
		if failed != nil {
			r.lanes.Store(cluster, true)
			err = failed
			return false
		}
		r.Builds(builds...)
		r.Pipelines(pipelines...)
		return true
	})
	return err
}

// addDelayed has those builds and pipelines reported that are delayed, or were until now.
func (r *Reporter) addDelayed(ctx context.Context) error {
	now := time.Now()
	due, wait := r.delays.due(now)
	if wait > 0 {
		time.AfterFunc(wait, r.builds.wake.Notify)
	}
	for i, namespace := range due {
		builds, pipelines, err := r.Rows.DelayedOwners(ctx, namespace, mostDelayed)
		if err != nil {
			for _, left := range due[i:] {
				r.Delayed(left)
			}
			return err
		}
		builds, pipelines = r.delays.tell(namespace, now, builds, pipelines)
		r.Builds(builds...)
		r.Pipelines(pipelines...)
	}
	return nil
}
