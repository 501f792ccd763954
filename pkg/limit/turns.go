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

	// Quiet bounds how long background waits while triggers are under way but take no tokens: after this long without any
	// grant it has one. So it waits for at most Share tokens, each at most Quiet after the one before.
	Quiet = 10 * time.Second
)

// turns decides which class has the next token. It knows nothing of tokens or lines.
type turns struct {
	busy            bool
	sinceBackground int       // tokens that triggers had since background had its last
	quietSince      time.Time // the last grant to either class, or when busy began
}

// next is the class whose turn it is. Somebody waits, and at has passed.
func (t *turns) next(now time.Time, triggers, backgrounds int) string {
	underWay := t.busy || triggers > 0
	if backgrounds > 0 && (!underWay || !t.backgroundAt().After(now)) {
		return BackgroundClass
	}
	return TriggerClass
}

// at is when somebody may have a turn: at once, unless only background waits while triggers are under way.
func (t *turns) at(triggers int) time.Time {
	if triggers > 0 || !t.busy {
		return time.Time{}
	}
	return t.backgroundAt()
}

// backgroundAt is when background may have a turn while triggers are under way.
func (t *turns) backgroundAt() time.Time {
	if t.sinceBackground >= Share {
		return time.Time{}
	}
	return t.quietSince.Add(Quiet)
}

func (t *turns) granted(class string, now time.Time) {
	t.quietSince = now
	t.sinceBackground++
	if class == BackgroundClass {
		t.sinceBackground = 0
	}
}

// returned takes a grant back. Background is due again then, since it was when it had its turn.
func (t *turns) returned(class string) {
	t.sinceBackground = max(t.sinceBackground-1, 0)
	if class == BackgroundClass {
		t.sinceBackground = Share
	}
}

func (t *turns) setBusy(busy bool, now time.Time) {
	if busy && !t.busy {
		t.quietSince = now
	}
	t.busy = busy
}
