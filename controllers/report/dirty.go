package report

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/loop"
)

// dirtySet holds the names of objects whose status may have changed. Those that are
// known to have changed go before those that a sweep, or a start, only looks at again:
// of these there may be tens of thousands.
type dirtySet struct {
	wake *loop.Signal
	// report reads the objects and their rows, and returns the writes that are due.
	report func(context.Context, []types.NamespacedName) ([]write, error)
	// halved is how often a round was made smaller because one failed, or took long. It is
	// the reporter's alone.
	halved int
	// taken is since when the oldest of the changed objects waited that were taken last; zero
	// where none had changed. It is the reporter's alone.
	taken time.Time
	// cuts are the objects with which not all of a status is stored; the reporter's alone.
	cuts cuts

	mu    sync.Mutex
	first nameQueue
	later nameQueue
}

func newDirtySet(wake *loop.Signal) *dirtySet { return &dirtySet{wake: wake, cuts: cuts{}} }

// add marks what has changed.
func (s *dirtySet) add(keys ...types.NamespacedName) { s.addTo(&s.first, keys) }

// addLater marks what is looked at when nothing is left that has changed.
func (s *dirtySet) addLater(keys ...types.NamespacedName) { s.addTo(&s.later, keys) }

func (s *dirtySet) addTo(queue *nameQueue, keys []types.NamespacedName) {
	if len(keys) == 0 {
		return
	}
	s.mu.Lock()
	queue.add(keys, time.Now())
	s.mu.Unlock()
	s.wake.Notify()
}

// take removes and returns up to most keys.
func (s *dirtySet) take(most int) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = s.first.oldest()
	taken := s.first.take(most)
	taken = append(taken, s.later.take(most-len(taken))...)
	if s.first.len()+s.later.len() > 0 {
		s.wake.Notify()
	}
	return taken
}

// shrink makes the next round half as large, up to so many times.
func (s *dirtySet) shrink(most int) { s.halved = min(s.halved+1, most) }

// waitsLonger tells whether the oldest changed object of this set has waited longer than that
// of another.
func (s *dirtySet) waitsLonger(other *dirtySet) bool {
	own, others := s.waitsSince(), other.waitsSince()
	return !own.IsZero() && (others.IsZero() || own.Before(others))
}

// waitsSince is since when the oldest changed object waits; zero where none has changed.
func (s *dirtySet) waitsSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first.oldest()
}

// again wakes the reporter once more where something is left.
func (s *dirtySet) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.len()+s.later.len() > 0 {
		s.wake.Notify()
	}
}

// nameQueue holds names, each once, in the order in which they were added: one that
// waits is not overtaken by those that are added again and again. The zero value is
// empty.
type nameQueue struct {
	has   map[types.NamespacedName]struct{}
	names []types.NamespacedName
	since []time.Time // when each was added
}

func (q *nameQueue) len() int { return len(q.names) }

// oldest is when the first was added; zero where there is none.
func (q *nameQueue) oldest() time.Time {
	if len(q.since) == 0 {
		return time.Time{}
	}
	return q.since[0]
}

func (q *nameQueue) add(keys []types.NamespacedName, now time.Time) {
	if q.has == nil {
		q.has = make(map[types.NamespacedName]struct{}, len(keys))
	}
	for _, key := range keys {
		if _, waits := q.has[key]; !waits {
			q.has[key] = struct{}{}
			q.names, q.since = append(q.names, key), append(q.since, now)
		}
	}
}

func (q *nameQueue) take(most int) []types.NamespacedName {
	taken := slices.Clone(q.names[:min(most, len(q.names))])
	q.names, q.since = q.names[len(taken):], q.since[len(taken):]
	for _, key := range taken {
		delete(q.has, key)
	}
	if len(q.names) == 0 {
		*q = nameQueue{} // what was large stays so until it is made anew
	}
	return taken
}
