package limit

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// enter lets w stand in line, and leave it again where the answer is known at once: granted, or not before the deadline.
func (b *Bucket) enter(ctx context.Context, w *waiter) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.push(w, now)
	b.serve(now)
	deadline, limited := ctx.Deadline()
	if w.granted || !limited {
		return nil
	}
	if at := b.earliest(w, now); at.After(deadline) {
		b.classes[w.class].remove(w)
		return fmt.Errorf("wait %s for an API token: %w", at.Sub(now), context.DeadlineExceeded)
	}
	return nil
}

// leave gives up the place in line, or the token when that was granted in the same moment. That token goes to the next
// lane: this one has had its turn.
func (b *Bucket) leave(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if w.granted {
		b.tokens.AllowN(now, -1) // Cancel of a Reservation gives nothing back once its time has come
		b.turns.returned(w.class)
	} else {
		b.classes[w.class].remove(w)
	}
	b.serve(now)
}

// try takes a token if there is one that nobody else is before.
func (b *Bucket) try(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.push(w, now)
	b.serve(now)
	if !w.granted {
		b.classes[w.class].remove(w)
	}
	return w.granted
}

func (b *Bucket) push(w *waiter, now time.Time) {
	w.since = now
	b.classes[w.class].push(w)
	if w.class == TriggerClass {
		b.turns.underWay(now)
	}
}

// serve grants what can be granted now, and sets the timer for what can't. The caller holds the lock, and has read the
// clock under it: the rate limiter counts time twice when it runs backwards.
func (b *Bucket) serve(now time.Time) {
	for b.waiting(TriggerClass)+b.waiting(BackgroundClass) > 0 {
		each := TriggersEach(b.turns.busyFor(now), b.lateness(now))
		at := latest(b.pausedUntil, b.turns.at(b.waiting(TriggerClass), each), b.tokensAt(now, 1+b.kept()))
		if at.After(now) {
			b.wake(at.Sub(now))
			return
		}
		b.grant(b.turns.next(b.waiting(TriggerClass), b.waiting(BackgroundClass), each), now)
	}
}

// kept is how many tokens background requests leave in the bucket while no triggers are under
// way, so that the first trigger waits for none. A small burst leaves fewer, or none.
func (b *Bucket) kept() int {
	if b.waiting(TriggerClass) > 0 || len(b.turns.busy) > 0 {
		return 0
	}
	return min(firstTrigger, b.tokens.Burst()/4)
}

// firstTrigger is how many requests the first trigger makes: it lists the pipelines below the
// build, and creates the Workflow.
const firstTrigger = 2

func (b *Bucket) grant(class string, now time.Time) {
	w := b.classes[class].pop()
	w.granted = b.tokens.AllowN(now, 1)
	b.turns.granted(class, now)
	if class == TriggerClass {
		b.turns.underWay(now)
	}
	close(w.ready)
}

func (b *Bucket) wake(after time.Duration) {
	if b.timer != nil {
		b.timer.Reset(after)
		return
	}
	b.timer = time.AfterFunc(after, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.serve(time.Now())
	})
}

// lateness is how late background is.
func (b *Bucket) lateness(now time.Time) (late Lateness) {
	if oldest := b.classes[BackgroundClass].oldest(); oldest != nil {
		late.Waited = now.Sub(oldest.since)
	}
	for _, since := range b.due {
		late.Due = max(late.Due, now.Sub(since))
	}
	return late
}

func (b *Bucket) waiting(class string) int { return b.classes[class].waiting }

// earliest is when w, the last of its lane, can have its token if nobody comes or leaves. It is never later than the truth.
// It is earlier where background has a token before a trigger, has less than half of the tokens, or waits while triggers are
// under way.
func (b *Bucket) earliest(w *waiter, now time.Time) time.Time {
	tokens := b.classes[w.class].position(w.lane)
	if w.class == BackgroundClass {
		tokens += b.turns.triggersBefore(tokens, b.waiting(TriggerClass))
	}
	return b.tokensAt(latest(now, b.pausedUntil), tokens)
}

// tokensAt is when the bucket has gained n tokens, at or after the given time.
func (b *Bucket) tokensAt(from time.Time, n int) time.Time {
	missing := float64(n) - b.tokens.TokensAt(from)
	if missing <= 0 || b.tokens.Limit() == rate.Inf {
		return from
	}
	nanoseconds := math.Ceil(missing / float64(b.tokens.Limit()) * float64(time.Second))
	return from.Add(time.Duration(min(nanoseconds, math.MaxInt64/2)))
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
