package report

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// dirtySet holds the names of objects whose status may have changed, each once.
type dirtySet struct {
	wake chan struct{}
	mu   sync.Mutex
	keys map[types.NamespacedName]struct{}
}

func newDirtySet(wake chan struct{}) *dirtySet {
	return &dirtySet{wake: wake, keys: map[types.NamespacedName]struct{}{}}
}

func (s *dirtySet) add(keys ...types.NamespacedName) {
	if len(keys) == 0 {
		return
	}
	s.mu.Lock()
	for _, key := range keys {
		s.keys[key] = struct{}{}
	}
	s.mu.Unlock()
	s.signal()
}

// take removes and returns up to most keys.
func (s *dirtySet) take(most int) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := make([]types.NamespacedName, 0, min(most, len(s.keys)))
	for key := range s.keys {
		if len(taken) == most {
			s.signal()
			break
		}
		taken = append(taken, key)
		delete(s.keys, key)
	}
	if len(s.keys) == 0 {
		s.keys = map[types.NamespacedName]struct{}{} // a map that was large stays so
	}
	return taken
}

// again wakes the reporter once more where something is left.
func (s *dirtySet) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) > 0 {
		s.signal()
	}
}

func (s *dirtySet) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
