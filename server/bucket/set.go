// Package bucket holds callers to their rates: a Set has one token bucket for each of them.
package bucket

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// Rate is how many tokens a bucket gains in a second, and how many it holds.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Set holds one token bucket for each key. It is for concurrent use.
type Set struct {
	mu     sync.Mutex
	all    *lru.Cache
	latest time.Time
}

// NewSet returns a set of at most size buckets. The longest unseen is dropped first, and begins anew
// when it is seen again.
func NewSet(size int) *Set { return &Set{all: lru.New(size)} }

// Take takes a token of a key, or tells for how long there is none. A key whose rate is another one
// than before begins with a full bucket.
func (s *Set) Take(key any, of Rate, now time.Time) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.at(now)
	reservation := s.bucket(key, of).ReserveN(now, 1)
	wait = reservation.DelayFrom(now)
	if wait == 0 {
		return 0, true
	}
	reservation.CancelAt(now)
	return wait, false
}

// IsEmpty tells whether a key has no token, and takes none.
func (s *Set) IsEmpty(key any, of Rate, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bucket(key, of).TokensAt(s.at(now)) < 1
}

// at is the time that counts. Who has read the clock first may come later, and a limiter that is
// taken back in time grants the time between twice.
func (s *Set) at(now time.Time) time.Time {
	if now.After(s.latest) {
		s.latest = now
	}
	return s.latest
}

func (s *Set) bucket(key any, of Rate) *rate.Limiter {
	if known, ok := s.all.Get(key); ok {
		if limiter := known.(*rate.Limiter); limiter.Limit() == rate.Limit(of.PerSecond) && limiter.Burst() == of.Burst {
			return limiter
		}
	}
	fresh := rate.NewLimiter(rate.Limit(of.PerSecond), of.Burst)
	s.all.Add(key, fresh)
	return fresh
}
