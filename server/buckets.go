package server

import (
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// buckets hold one token bucket for each key. The longest unseen is dropped first.
type buckets struct {
	rate  rate.Limit
	burst int
	all   *lru.Cache
}

func newBuckets(perSecond float64, burst int) *buckets {
	return &buckets{rate: rate.Limit(perSecond), burst: burst, all: lru.New(maxBuckets)}
}

func (b *buckets) of(key string) *rate.Limiter {
	if known, ok := b.all.Get(key); ok {
		return known.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(b.rate, b.burst)
	b.all.Add(key, fresh) // of two at once the later stays, which costs a few tokens
	return fresh
}

// take takes a token, or tells for how long there is none.
func (b *buckets) take(key string, now time.Time) (wait time.Duration, ok bool) {
	reservation := b.of(key).ReserveN(now, 1)
	wait = reservation.DelayFrom(now)
	if wait == 0 {
		return 0, true
	}
	reservation.CancelAt(now)
	return wait, false
}

// empty tells whether there is no token, and takes none.
func (b *buckets) empty(key string, now time.Time) bool { return b.of(key).TokensAt(now) < 1 }
