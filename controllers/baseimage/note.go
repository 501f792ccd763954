package baseimage

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// note writes what checks have found. What can't be written now is kept, and its images are not
// checked again before.
func (c *Checker) note(ctx context.Context) error {
	c.mu.Lock()
	ended := c.finished
	c.finished = nil
	c.mu.Unlock()
	var checks []store.BaseImageCheck
	for _, one := range ended {
		if c.needsNote(one) {
			checks = append(checks, one.noted())
		}
	}
	states := map[string]store.BaseImageState{}
	if len(checks) > 0 {
		var err error
		if states, err = c.Rows.RecordBaseImageChecks(ctx, checks); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.finished = append(ended, c.finished...)
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range ended {
		state, isNoted := states[string(one.record.uid)]
		c.end(one, state, isNoted)
	}
	return nil
}

// needsNote tells whether a check is of the spec that is in force, and has found something, or
// is one that somebody wanted.
func (c *Checker) needsNote(one finished) bool {
	isOfSpec := one.record.generation == one.generation
	return isOfSpec && !one.verdict.isOwn && (one.verdict.digest != "" || (!one.wanted.IsZero() && one.verdict.until.IsZero()))
}

// end takes over what a check came to. The caller holds the lock.
func (c *Checker) end(one finished, state store.BaseImageState, isNoted bool) {
	known := one.record
	known.isChecking = false
	if known.generation != one.generation {
		return // it is due, with its new spec
	}
	if c.needsNote(one) && !isNoted {
		known.hasRow, known.due = false, c.Now().Add(minGap) // what is known is not what the row says
		return
	}
	count(known.state.Digest, one.verdict)
	if isNoted {
		known.state = state
		known.fulfilled = later(known.fulfilled, one.wanted)
	}
	c.settle(known, one.attempt, one.verdict)
}

// settle decides what is believed of an image from now on, and when it is checked again. The
// caller holds the lock.
func (c *Checker) settle(known *record, one attempt, v verdict) {
	switch {
	case v.reason == v1alpha1.ReasonChecked:
		known.failures = 0
	case v.until.IsZero() && !v.isOwn:
		known.failures++
	}
	now := c.Now()
	known.due = known.next(v, one.began, now)
	if known.isWanted() && v.until.IsZero() { // somebody has come while the check was under way
		known.due = one.began.Add(minGap)
	}
	if v.isOwn {
		return
	}
	if v.reason != v1alpha1.ReasonChecked && known.isPolled() {
		v.message += fmt.Sprintf(": the next check is at %s", clockOf(known.due))
	}
	known.verdict = v
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
