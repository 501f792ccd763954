package hooks

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// suspects are Receivers whose Secret could not be used although it could when it was looked at.
type suspects struct {
	mu  sync.Mutex
	all map[types.UID]bool
}

func (s *suspects) add(receiver types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[types.UID]bool{}
	}
	s.all[receiver] = true
}

// take tells whether a Receiver is one, which it is no more then.
func (s *suspects) take(receiver types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.all[receiver]
	delete(s.all, receiver)
	return is
}
