package hooks

import (
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"github.com/penstock-cd/penstock/pkg/webhook"
)

// Every bound that protects the server from senders, and from those who are none.
const (
	// maxURL bounds the path and the query.
	maxURL = 2 << 10
	// maxBodies is how many bytes of bodies are in memory at once: what a body takes is
	// counted before it is read, and further ones wait for bodyWait.
	maxBodies, bodyWait = 20 * webhook.MaxBody, 5 * time.Second
	// refusalTime is how long the answer takes to who knows no path, or not its secret. It is
	// above what it takes to read a Secret.
	refusalTime = 300 * time.Millisecond
	// receiversAge is how old the list of Receivers may be, and unknownAge where a path is not
	// in it: its Receiver may just have been made.
	receiversAge, unknownAge = time.Second, 200 * time.Millisecond
	// secretAge is how old a Secret may be; secretTimeout bounds the reading of one.
	secretAge, secretTimeout = 5 * time.Second, 3 * time.Second
	// maxSecrets is how many are kept.
	maxSecrets = 2000
	// rereadInterval is how often a Secret is read before its time for signatures that are
	// wrong: it may just have changed.
	rereadInterval = time.Second
	// LookInterval is how often the Secrets of Receivers are looked at that are not known to be
	// usable, and maxLooks how many of them then.
	LookInterval, maxLooks = 5 * time.Second, 50
	// keepTimeout bounds keeping a delivery.
	keepTimeout = 8 * time.Second
	// maxLimits is how many Receivers have a bucket of their own; the longest unseen begins anew.
	maxLimits = 20000
	// suspendedAfter is what senders are told while a Receiver is suspended.
	suspendedAfter = time.Minute
)

// limits hold a token bucket for each Receiver.
type limits struct{ all *lru.Cache }

func newLimits() *limits { return &limits{lru.New(maxLimits)} }

// take takes a token of a Receiver, or tells for how long there is none. What comes at once may
// be as much as a minute's share of ten seconds.
func (l *limits) take(receiver types.UID, perMinute int, now time.Time) (wait time.Duration, ok bool) {
	limit, burst := rate.Limit(float64(perMinute)/60), max(perMinute/6, 1)
	limiter := rate.NewLimiter(limit, burst)
	if known, found := l.all.Get(receiver); found && known.(*rate.Limiter).Limit() == limit {
		limiter = known.(*rate.Limiter)
	} else {
		l.all.Add(receiver, limiter)
	}
	reservation := limiter.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait == 0 {
		return 0, true
	}
	reservation.CancelAt(now)
	return wait, false
}
