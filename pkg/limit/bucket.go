// Package limit holds every request of the process to one rate: it observes who waits for the Kubernetes API and grants
// tokens, triggers first.
//
// A Bucket has two classes of views, Trigger and Background, each a flowcontrol.RateLimiter for a rest.Config of its own.
// While triggers are under way they go first; what Background has of the tokens grows with how long they have been and how
// late it is, from next to nothing to half: see TriggersEach. At other times it flows freely. An answer of 429 stops all
// views for as long as the server asks (WrapTransport).
//
// Trigger has one view for each lane. The lanes in which requests wait are served round robin, one token each, so that a
// lane with k others waits for at most k tokens between two of its own, however many requests wait in those. Tokens that a
// lane does not ask for go to the others.
//
// Time is that of package time; tests run in a bubble of testing/synctest, which replaces it.
package limit

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/flowcontrol"
)

// Bucket is a token bucket whose waiters stand in a line for each lane of triggers and one for background. Its methods may be called at any time from any goroutine.
// It holds no goroutine and needs no end.
type Bucket struct {
	// OnWait is told, after every wait, the class (TriggerClass or BackgroundClass) and how long it took, also when it was
	// cancelled. Set it before the first use; it must not block.
	OnWait func(class string, waited time.Duration)

	// OnPause is told by how much a pause was made longer. Set it before the first use; it must not block.
	OnPause func(time.Duration)

	mu          sync.Mutex
	tokens      *rate.Limiter
	turns       turns
	due         map[string]time.Time // by who told of it
	classes     map[string]*lanes    // background has one lane, with an empty name
	pausedUntil time.Time
	timer       *time.Timer // calls serve when the next grant is possible
}

// waiter is one call of Wait. The mutex of the bucket guards it.
type waiter struct {
	class, lane string
	since       time.Time
	place       *list.Element // in its lane, until it is granted or leaves
	granted     bool
	ready       chan struct{} // closed with the grant
}

// NewBucket returns a full bucket that gains qps tokens in a second and holds at most burst of them. A qps of 0 or less
// lifts the limit; burst is at least 1. With a burst of 1 the rate falls short of qps by what the timers of the machine
// come late, since there is no room for the token that is gained meanwhile.
func NewBucket(qps float64, burst int) *Bucket {
	return &Bucket{
		tokens:  rate.NewLimiter(perSecond(qps), max(burst, 1)),
		turns:   turns{busy: map[string]bool{}},
		due:     map[string]time.Time{},
		classes: map[string]*lanes{TriggerClass: {}, BackgroundClass: {}},
	}
}

// Trigger returns the view for requests that the triggers of a lane wait for. Views of the same lane share its line.
func (b *Bucket) Trigger(lane string) flowcontrol.RateLimiter {
	return &view{bucket: b, class: TriggerClass, lane: lane}
}

// Background returns the view for requests that can wait: status writes, events, reads that no cache answers.
func (b *Bucket) Background() flowcontrol.RateLimiter {
	return &view{bucket: b, class: BackgroundClass}
}

// SetLimit changes the rate and size while the bucket is in use; see NewBucket. Tokens at hand above burst are lost.
func (b *Bucket) SetLimit(qps float64, burst int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.tokens.SetLimitAt(now, perSecond(qps))
	b.tokens.SetBurstAt(now, max(burst, 1))
	b.serve(now)
}

// SetBusy says whether triggers of a lane are under way although none may be waiting for a token at this moment: work is
// claimed, or the queue is not empty. Triggers are under way while those of any lane are.
func (b *Bucket) SetBusy(lane string, busy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.turns.setBusy(lane, busy, now)
	b.serve(now)
}

// SetDue says since when the oldest work of a part of the background is due; the zero time where none is. Parts that write
// few requests at once tell more so than those requests do by waiting.
func (b *Bucket) SetDue(part string, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.due, part)
	if !since.IsZero() {
		b.due[part] = since
	}
	b.serve(time.Now())
}

// TriggersFirst tells whether a burst is in its first 30 s, in which background may write what matters most, but not all.
func (b *Bucket) TriggersFirst() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	return len(b.turns.busy) > 0 && b.turns.busyFor(now) < First
}

// Pause grants nothing for d, to any view. A pause that already lasts longer stays as it is.
func (b *Bucket) Pause(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	before := latest(b.pausedUntil, now)
	b.pausedUntil = latest(b.pausedUntil, now.Add(d))
	if b.OnPause != nil {
		b.OnPause(b.pausedUntil.Sub(before))
	}
}

func perSecond(qps float64) rate.Limit {
	if qps <= 0 {
		return rate.Inf
	}
	return rate.Limit(qps)
}
