package dispatch

import (
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/store"
)

// rateSlots are the seconds that a rate counts in.
const rateSlots = int64(store.RateWindow / time.Second)

// rate counts what has happened in the last minute, by seconds. It is safe for concurrent use.
type rate struct {
	began time.Time

	mu    sync.Mutex
	slots [rateSlots]struct {
		second int64
		count  int
	}
}

func newRate(now time.Time) *rate { return &rate{began: now} }

// add counts one.
func (r *rate) add(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := &r.slots[now.Unix()%rateSlots]
	if slot.second != now.Unix() {
		slot.second, slot.count = now.Unix(), 0
	}
	slot.count++
}

// count returns how many there were in how long a time: a minute, or since the beginning.
func (r *rate) count(now time.Time) (count int, over time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.slots {
		slot := &r.slots[i]
		if now.Unix()-slot.second < rateSlots {
			count += slot.count
		}
	}
	return count, min(now.Sub(r.began), store.RateWindow)
}
