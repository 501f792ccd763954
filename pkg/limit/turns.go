package limit

import "time"

// The classes of requests, as OnWait names them.
const (
	TriggerClass    = "trigger"
	BackgroundClass = "background"
)

const (
	// Share is how many tokens triggers have for each one of background while triggers are under way: 1.02 API writes for
	// each trigger.
	Share = 50

	// Quiet bounds how long background waits while triggers are under way and leave tokens over, as they do when creates
	// are slow: it has one token in this time, and flows freely once triggers took none for as long. Where triggers wait
	// for tokens, Share alone counts.
	Quiet = 2 * time.Second
)

// turns decides which class has the next token. It knows nothing of tokens or waiters.
type turns struct {
	busy            map[string]bool // the lanes whose triggers are under way
	sinceBackground int             // tokens that triggers had since background had its last
	// The last grant to each class, or when the first lane began to be busy.
	lastTrigger, lastBackground time.Time
}

// next is the class whose turn it is. Somebody waits, and at has passed.
func (t *turns) next(triggers, backgrounds int) string {
	if triggers > 0 && (backgrounds == 0 || t.sinceBackground < Share) {
		return TriggerClass
	}
	return BackgroundClass
}

// at is when somebody may have a turn: at once, unless only background waits while triggers are under way.
func (t *turns) at(triggers int) time.Time {
	if triggers > 0 || len(t.busy) == 0 || t.sinceBackground >= Share {
		return time.Time{}
	}
	return earliest(t.lastTrigger, t.lastBackground).Add(Quiet)
}

// triggersBefore is how many of the triggers that wait have their turn before the nth of background.
func (t *turns) triggersBefore(n, triggers int) int {
	return min(triggers, max(Share-t.sinceBackground, 0)+(n-1)*Share)
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
		t.sinceBackground = Share
	}
}

func (t *turns) setBusy(lane string, busy bool, now time.Time) {
	if !busy {
		delete(t.busy, lane)
		return
	}
	if len(t.busy) == 0 {
		t.lastTrigger, t.lastBackground = now, now
	}
	t.busy[lane] = true
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
