package report

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// dirtySet holds the names of objects whose status may have changed, each once, in
// the order in which they were marked: one that waits is not overtaken by those that
// are marked again and again.
type dirtySet struct {
	wake   chan struct{}
	mu     sync.Mutex
	marked map[types.NamespacedName]struct{}
	queue  []types.NamespacedName // the marked ones
}

func newDirtySet(wake chan struct{}) *dirtySet {
	return &dirtySet{wake: wake, marked: map[types.NamespacedName]struct{}{}}
}

func (s *dirtySet) add(keys ...types.NamespacedName) {
	if len(keys) == 0 {
		return
	}
	s.mu.Lock()
	for _, key := range keys {
		if _, waits := s.marked[key]; !waits {
			s.marked[key] = struct{}{}
			s.queue = append(s.queue, key)
		}
	}
	s.mu.Unlock()
	s.signal()
}

// take removes and returns up to most keys.
func (s *dirtySet) take(most int) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := slices.Clone(s.queue[:min(most, len(s.queue))])
	s.queue = s.queue[len(taken):]
	for _, key := range taken {
		delete(s.marked, key)
	}
	if len(s.queue) > 0 {
		s.signal()
		return taken
	}
	// What was large stays so until it is made anew.
	s.queue, s.marked = nil, map[types.NamespacedName]struct{}{}
	return taken
}

// again wakes the reporter once more where something is left.
func (s *dirtySet) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 {
		s.signal()
	}
}

func (s *dirtySet) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
