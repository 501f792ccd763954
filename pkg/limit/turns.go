package limit

import "time"

// The classes of requests, as OnWait names them.
const (
	TriggerClass    = "trigger"
	BackgroundClass = "background"
)

// turns decides which class has the next token. It knows nothing of tokens or waiters.
type turns struct {
	busy            map[string]bool // the lanes whose triggers are under way
	sinceBackground int             // tokens that triggers had since background had its last
	// The last grant to each class, or when the first lane began to be busy.
	lastTrigger, lastBackground time.Time
	// began is when triggers began to be under way, without a pause of Quiet since; lastBusy is when they were last, where no
	// lane is busy.
	began, lastBusy time.Time
}

// next is the class whose turn it is, if background has one token for each so many of triggers. Somebody waits, and at has
// passed.
func (t *turns) next(triggers, backgrounds, each int) string {
	if triggers > 0 && (backgrounds == 0 || t.sinceBackground < each) {
		return TriggerClass
	}
	return BackgroundClass
}

// at is when somebody may have a turn: at once, unless only background waits while triggers are under way.
func (t *turns) at(triggers, each int) time.Time {
	if triggers > 0 || len(t.busy) == 0 || t.sinceBackground >= each {
		return time.Time{}
	}
	return earliest(t.lastTrigger, t.lastBackground).Add(pauseOf(each))
}

// triggersBefore is how many of the triggers that wait have their turn before the nth of background, at least: its share
// may grow to half meanwhile.
func (t *turns) triggersBefore(n, triggers int) int {
	before := n - 1
	if t.sinceBackground == 0 {
		before++
	}
	return min(triggers, before)
}

func (t *turns) granted(class string, now time.Time) {
	if class == BackgroundClass {
		t.sinceBackground, t.lastBackground = 0, now
		return
	}
	t.sinceBackground++
	t.lastTrigger = now
}

// returned takes a grant back. Background is due again then, since it was when it had its turn.
func (t *turns) returned(class string) {
	t.sinceBackground = max(t.sinceBackground-1, 0)
	if class == BackgroundClass {
		t.sinceBackground = never
	}
}

func (t *turns) setBusy(lane string, busy bool, now time.Time) {
	t.underWay(now)
	if !busy {
		delete(t.busy, lane)
		return
	}
	if len(t.busy) == 0 {
		t.lastTrigger, t.lastBackground = now, now
	}
	t.busy[lane] = true
}

// underWay takes note that triggers are under way now.
func (t *turns) underWay(now time.Time) {
	if t.busyFor(now) == 0 {
		t.began = now
	}
	t.lastBusy = now
}

// busyFor is how long triggers have been under way; 0 where they are not.
func (t *turns) busyFor(now time.Time) time.Duration {
	if t.began.IsZero() || (len(t.busy) == 0 && now.Sub(t.lastBusy) >= Quiet) {
		return 0
	}
	return now.Sub(t.began)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
