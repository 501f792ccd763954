package loop

import "sync"

// Signal wakes one loop from any number of places. Notifications are counted as one
// until the loop has received it. The zero value is ready to use; it must not be copied
// after that, and is safe for concurrent use.
type Signal struct {
	once    sync.Once
	pending chan struct{}
}

// Notify says that there may be something to do. It never blocks.
func (s *Signal) Notify() {
	select {
	case s.channel() <- struct{}{}:
	default:
	}
}

// C returns the channel that receives one value for all notifications since the last
// one was received. It is never closed, and is always the same.
func (s *Signal) C() <-chan struct{} { return s.channel() }

// clear forgets a notification that was not received.
func (s *Signal) clear() {
	select {
	case <-s.channel():
	default:
	}
}

func (s *Signal) channel() chan struct{} {
	s.once.Do(func() { s.pending = make(chan struct{}, 1) })
	return s.pending
}
