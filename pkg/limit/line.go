package limit

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// enter stands in line, and leaves it again where the answer is known at once: granted, or not before the deadline.
func (b *Bucket) enter(ctx context.Context, class string) (*waiter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	w := b.push(class)
	b.serve(now)
	deadline, limited := ctx.Deadline()
	if w.granted || !limited {
		return w, nil
	}
	if at := b.earliest(class, now); at.After(deadline) {
		b.lines[class].Remove(w.place)
		return nil, fmt.Errorf("wait %s for an API token: %w", at.Sub(now), context.DeadlineExceeded)
	}
	return w, nil
}

// leave gives up the place in line, or the token when that was granted in the same moment.
func (b *Bucket) leave(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if w.granted {
		b.tokens.AllowN(now, -1) // Cancel of a Reservation gives nothing back once its time has come
		b.turns.returned(w.class)
	} else {
		b.lines[w.class].Remove(w.place)
	}
	b.serve(now)
}

// try takes a token if there is one that nobody else is before.
func (b *Bucket) try(class string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.push(class)
	b.serve(time.Now())
	if !w.granted {
		b.lines[class].Remove(w.place)
	}
	return w.granted
}

func (b *Bucket) push(class string) *waiter {
	w := &waiter{class: class, ready: make(chan struct{})}
	w.place = b.lines[class].PushBack(w)
	return w
}

// serve grants what can be granted now, and sets the timer for what can't. The caller holds the lock, and has read the
// clock under it: the rate limiter counts time twice when it runs backwards.
func (b *Bucket) serve(now time.Time) {
	for b.waiting(TriggerClass)+b.waiting(BackgroundClass) > 0 {
		at := latest(b.pausedUntil, b.turns.at(b.waiting(TriggerClass)), b.tokensAt(now, 1))
		if at.After(now) {
			b.wake(at.Sub(now))
			return
		}
		b.grant(b.turns.next(b.waiting(TriggerClass), b.waiting(BackgroundClass)), now)
	}
}

func (b *Bucket) grant(class string, now time.Time) {
	line := b.lines[class]
	w, _ := line.Remove(line.Front()).(*waiter)
	w.granted = b.tokens.AllowN(now, 1)
	b.turns.granted(class, now)
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

func (b *Bucket) waiting(class string) int { return b.lines[class].Len() }

// earliest is when the last in the line of class can have its token if nobody comes before it any more.
func (b *Bucket) earliest(class string, now time.Time) time.Time {
	before := b.waiting(TriggerClass)
	if class == BackgroundClass {
		before += b.waiting(BackgroundClass)
	}
	return b.tokensAt(latest(now, b.pausedUntil), before)
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
