package report

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// dirtySet holds the names of objects whose status may have changed. Those that are
// known to have changed go before those that a sweep, or a start, only looks at again:
// of these there may be tens of thousands.
type dirtySet struct {
	wake chan struct{}
	// halved is how often a round was made smaller because one failed. It is the
	// reporter's alone.
	halved int
	// cuts are the objects with which not all of a status is stored; the reporter's alone.
	cuts cuts

	mu    sync.Mutex
	first nameQueue
	later nameQueue
}

func newDirtySet(wake chan struct{}) *dirtySet { return &dirtySet{wake: wake, cuts: cuts{}} }

// add marks what has changed.
func (s *dirtySet) add(keys ...types.NamespacedName) { s.addTo(&s.first, keys) }

// addLater marks what is looked at when nothing is left that has changed.
func (s *dirtySet) addLater(keys ...types.NamespacedName) { s.addTo(&s.later, keys) }

func (s *dirtySet) addTo(queue *nameQueue, keys []types.NamespacedName) {
	if len(keys) == 0 {
		return
	}
	s.mu.Lock()
	queue.add(keys)
	s.mu.Unlock()
	s.signal()
}

// take removes and returns up to most keys.
func (s *dirtySet) take(most int) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.first.take(most)
	taken = append(taken, s.later.take(most-len(taken))...)
	if s.first.len()+s.later.len() > 0 {
		s.signal()
	}
	return taken
}

// again wakes the reporter once more where something is left.
func (s *dirtySet) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.len()+s.later.len() > 0 {
		s.signal()
	}
}

func (s *dirtySet) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// nameQueue holds names, each once, in the order in which they were added: one that
// waits is not overtaken by those that are added again and again. The zero value is
// empty.
type nameQueue struct {
	has   map[types.NamespacedName]struct{}
	names []types.NamespacedName
}

func (q *nameQueue) len() int { return len(q.names) }

func (q *nameQueue) add(keys []types.NamespacedName) {
	if q.has == nil {
		q.has = make(map[types.NamespacedName]struct{}, len(keys))
	}
	for _, key := range keys {
		if _, waits := q.has[key]; !waits {
			q.has[key] = struct{}{}
			q.names = append(q.names, key)
		}
	}
}

func (q *nameQueue) take(most int) []types.NamespacedName {
	taken := slices.Clone(q.names[:min(most, len(q.names))])
	q.names = q.names[len(taken):]
	for _, key := range taken {
		delete(q.has, key)
	}
	if len(q.names) == 0 {
		*q = nameQueue{} // what was large stays so until it is made anew
	}
	return taken
}
