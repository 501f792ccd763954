package hooks

import (
	"time"

	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/server/bucket"
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

// rateOf is how many deliveries a Receiver takes. What comes at once may be as much as a minute's
// share of ten seconds.
func rateOf(perMinute int) bucket.Rate {
	return bucket.Rate{PerSecond: float64(perMinute) / 60, Burst: max(perMinute/6, 1)}
}
