package baseimage

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// defaultInterval is that of an image whose spec has none.
	defaultInterval = 5 * time.Minute
	// defaultSettle is that of an image whose spec has none.
	defaultSettle = 30 * time.Second
	// jitter is the share of the interval by which two checks of an image differ, so that images
	// are not checked in step for ever.
	jitter = 0.1
	// firstRetry and lastRetry bound the pause after a check that has failed.
	firstRetry, lastRetry = 30 * time.Second, time.Hour
	// ownRetry is the pause after a failure that is Penstock's own.
	ownRetry = 10 * time.Second
	// startSpread is the time over which a new leader spreads checks that were to be made before.
	startSpread = 30 * time.Second
	// minGap is the least time from one check of an image to the next, whoever wants it.
	minGap = 5 * time.Second
)

// intervalOf is how often an image is checked.
func intervalOf(spec v1alpha1.BaseImageSpec) time.Duration {
	if spec.Interval == nil {
		return defaultInterval
	}
	return spec.Interval.Duration
}

// settleOf is for how long after a change further ones are waited for.
func settleOf(spec v1alpha1.BaseImageSpec) time.Duration {
	if spec.Rebuild.Settle == nil {
		return defaultSettle
	}
	return spec.Rebuild.Settle.Duration
}

// jittered is a duration that differs a little each time.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + jitter*(2*rand.Float64()-1)))
}

// firstCheck is when a BaseImage is checked that this process sees for the first time: at once
// where it never was, and else as its status says, or spread over a while.
func firstCheck(image *v1alpha1.BaseImage, now time.Time) time.Time {
	if image.Status.CheckedAt == nil || image.Status.ObservedGeneration != image.Generation {
		return now
	}
	latest := now.Add(max(intervalOf(image.Spec), lastRetry))
	if next := image.Status.NextCheckAt; next != nil && next.After(now) && next.Time.Before(latest) {
		return next.Time
	}
	return now.Add(rand.N(min(startSpread, intervalOf(image.Spec))))
}

// backoff is the pause after so many failed checks in a row.
func backoff(failures int, interval time.Duration) time.Duration {
	pause := min(interval, firstRetry)
	for range min(failures-1, 20) {
		pause = min(2*pause, lastRetry)
	}
	return pause
}

// next is when an image is checked after a check that began then and came to that verdict.
func (r *record) next(v verdict, began, now time.Time) time.Time {
	switch {
	case v.isOwn:
		return now.Add(ownRetry)
	case !v.until.IsZero():
		return v.until.Add(rand.N(min(startSpread, intervalOf(r.spec))))
	case v.reason != v1alpha1.ReasonChecked:
		return now.Add(jittered(backoff(r.failures, intervalOf(r.spec))))
	}
	return began.Add(jittered(intervalOf(r.spec)))
}

// want brings the check forward that somebody wants since then, by the database's clock.
func (r *record) want(since time.Time, now time.Time) {
	if !since.After(r.wanted) {
		return
	}
	r.wanted = since
	if at := r.began.Add(minGap); at.After(now) {
		now = at
	}
	if now.Before(r.due) {
		r.due = now
	}
}

// due begins the checks that are due, those first that have waited longest, as far as there is
// room, in all and at each registry. Images of a registry that asks for a pause wait for its end.
func (c *Checker) due() []attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, total, busy := c.Now(), 0, map[string]int{}
	var waiting []*record
	for _, known := range c.records {
		switch {
		case known.isChecking:
			total++
			busy[known.image.Registry]++
		case known.isPolled() && known.hasRow && !now.Before(known.due):
			waiting = append(waiting, known)
		}
	}
	slices.SortFunc(waiting, func(a, b *record) int { return a.due.Compare(b.due) })
	var begun []attempt
	for _, known := range waiting {
		if until := c.registry.PausedUntil(known.image.Registry); until.After(now) {
			c.settle(known, attemptOf(known, now), paused(known.image.Registry, until))
			continue
		}
		if total < parallelism && busy[known.image.Registry] < perRegistry {
			total++
			busy[known.image.Registry]++
			begun = append(begun, c.begin(known, now))
		}
	}
	return begun
}

// begin marks an image as being checked. The caller holds the lock.
func (c *Checker) begin(known *record, now time.Time) attempt {
	known.isChecking, known.began = true, now
	return attemptOf(known, now)
}

// release frees an image that was not checked.
func (c *Checker) release(one attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one.record.isChecking = false
}
