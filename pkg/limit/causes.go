package limit

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// probeFirst is the pause before the first probe of a namespace that is shut. It doubles with each probe that is
	// refused, up to probeMost where the cause is one of the whole namespace, and to probeMostOfObject where others may pass.
	probeFirst, probeMost, probeMostOfObject = 500 * time.Millisecond, 30 * time.Second, 3 * time.Second
	// settle is the pause after something was freed: what counts it does so a moment later. It doubles with each probe
	// that comes too early.
	settle = 100 * time.Millisecond
	// strikes is how many Workflows of a namespace are refused one after the other, for a cause that may be of one object,
	// before the namespace is shut.
	strikes = 3
	// mostProbes is the largest round of probes. A namespace where one has passed is open.
	mostProbes = 16
	// lookAgain is the pause before tasks are looked for once more.
	lookAgain = time.Second
	// maxDoublings keeps a doubled pause from overflowing.
	maxDoublings = 16
)

// Cause is why the API server refuses the Workflows of a namespace for now.
type Cause struct {
	// Reason names the cause, such as QuotaExceeded.
	Reason string
	// OfObject says that it may be of one Workflow, so that others of the namespace pass.
	OfObject bool
	// Frees says that room comes back when a Workflow of the namespace is deleted.
	Frees bool
}

// Delay is what is known of a namespace that is shut.
type Delay struct {
	// Reason and Message are those of the last refusal.
	Reason, Message string
	// Attempts is how many Workflows were refused since Since; 0 where that was before this process started.
	Attempts int
	// Since is when the first of them was refused, Next when one is tried again at the latest.
	Since, Next time.Time
}

// Probe is how many of a namespace's tasks may be tried now.
type Probe struct {
	Namespace string
	Tasks     int
}

// Causes keeps a namespace shut while the API server refuses its Workflows: none of its tasks is tried but for one at a
// time, ever more rarely, until one passes. Then they are tried in rounds of 1, 2, 4 … up to 16, and when 32 have passed in
// a row the namespace is open. Where room comes back by itself, as that of a quota does, each Workflow that was deleted is worth one probe at
// once, and a success that it explains opens nothing. All methods may be called at any time from any goroutine; the times
// passed to them are now.
type Causes struct {
	mu      sync.Mutex
	shut    map[string]*shutNamespace
	refused map[string]int // Workflows refused in a row, of namespaces that are open
	jitter  func(time.Duration) time.Duration
}

// shutNamespace is one that is shut. A round of probes is under way while some are in flight.
type shutNamespace struct {
	Delay
	cause Cause
	// step counts the refused rounds that no deletion explains, early those since the last deletion.
	step, early int
	// freed counts the deletions that no probe has used up.
	freed int
	// passed counts the probes that have passed in a row, unexplained those of them that no deletion explains.
	passed, unexplained int
	inFlight            int
	empty               int  // probes in a row for which no task was found
	broken              bool // a probe of this round was refused: those that have not begun are not tried
}

// NewCauses returns Causes under which every namespace is open.
func NewCauses() *Causes {
	return &Causes{shut: map[string]*shutNamespace{}, refused: map[string]int{}, jitter: halfToAll}
}

// halfToAll keeps the probes of namespaces that were shut together from coming together.
func halfToAll(pause time.Duration) time.Duration { return pause/2 + rand.N(pause/2+1) }

// Refused takes note of a Workflow that was refused, and returns whether its namespace is shut. Probe says that it was one.
func (c *Causes) Refused(namespace string, cause Cause, message string, probe bool, now time.Time) (Delay, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shut[namespace]
	if s == nil {
		c.refused[namespace]++
		if cause.OfObject && c.refused[namespace] < strikes {
			return Delay{}, false
		}
		s = &shutNamespace{Delay: Delay{Attempts: c.refused[namespace] - 1}}
		c.shut[namespace] = s
		delete(c.refused, namespace)
	}
	another := s.Reason != cause.Reason
	if another {
		if s.Reason != "" {
			s.Attempts = 0
		}
		*s = shutNamespace{Delay: Delay{Reason: cause.Reason, Attempts: s.Attempts, Since: now}, cause: cause, inFlight: s.inFlight, broken: s.broken}
	}
	if another || (probe && !s.broken) {
		c.postpone(s, now)
	}
	s.Message = message
	s.Attempts++
	if probe {
		s.inFlight, s.passed, s.unexplained = max(s.inFlight-1, 0), 0, 0
		s.broken = s.inFlight > 0
	}
	return s.Delay, true
}

// postpone decides when the next probe is due after one was refused. One that came right after a deletion may have come
// too early; the pause after it is never longer than without a deletion.
func (c *Causes) postpone(s *shutNamespace, now time.Time) {
	if s.freed > 0 {
		s.early++
		if pause := doubled(settle, s.early+1, probeMost); pause < s.pause() {
			s.Next = now.Add(pause)
			return
		}
		s.freed, s.early = 0, 0
	}
	s.step++
	s.Next = now.Add(c.jitter(s.pause()))
}

// pause is the one before the next probe that no deletion explains.
func (s *shutNamespace) pause() time.Duration {
	most := probeMost
	if s.cause.OfObject {
		most = probeMostOfObject
	}
	return doubled(probeFirst, s.step, most)
}

// doubled is first, doubled with each time after the first.
func doubled(first time.Duration, times int, most time.Duration) time.Duration {
	return min(first<<min(max(times-1, 0), maxDoublings), most)
}

// Passed takes note of a Workflow that was created, and returns whether that has opened its namespace.
func (c *Causes) Passed(namespace string, probe bool, now time.Time) (opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.refused, namespace)
	s := c.shut[namespace]
	if s == nil || !probe {
		return false
	}
	explained := s.freed > 0
	s.inFlight, s.early = max(s.inFlight-1, 0), 0
	s.passed++
	if explained {
		s.freed--
	} else {
		s.unexplained++
	}
	if s.inFlight > 0 || s.broken {
		s.broken = s.broken && s.inFlight > 0
		return false
	}
	if s.unexplained >= 2*mostProbes {
		delete(c.shut, namespace)
		return true
	}
	s.Next = now
	if explained && s.freed == 0 { // there is no more room than that
		s.passed = 0
		s.Next = now.Add(c.jitter(s.pause()))
	}
	return false
}

// Unproven takes note of a probe that has come to nothing that concerns its namespace.
func (c *Causes) Unproven(namespace string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shut[namespace]
	if s == nil {
		return
	}
	s.inFlight = max(s.inFlight-1, 0)
	if s.inFlight == 0 && !s.broken {
		s.Next = now.Add(settle)
	}
	s.broken = s.broken && s.inFlight > 0
}

// Freed takes note of a Workflow that was deleted.
func (c *Causes) Freed(namespace string, now time.Time) (awaited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shut[namespace]
	if s == nil || !s.cause.Frees {
		return false
	}
	s.freed++
	s.early = 0
	if due := now.Add(settle); due.Before(s.Next) {
		s.Next = due
	}
	return true
}

// Learn shuts a namespace whose tasks were found delayed, as after a start: its first probe is due at once. What is known
// of a namespace that is shut already stays.
func (c *Causes) Learn(namespace string, cause Cause, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut[namespace] == nil {
		c.shut[namespace] = &shutNamespace{Delay: Delay{Reason: cause.Reason, Since: now, Next: now}, cause: cause}
	}
}

// Empty takes note of a probe for which no task was found, and returns whether that has opened the namespace: what was
// refused a moment ago may not be recorded yet, so that it is looked for twice.
func (c *Causes) Empty(namespace string, now time.Time) (opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shut[namespace]
	if s == nil {
		return false
	}
	if s.empty++; s.empty < 2 {
		s.Next = now.Add(lookAgain)
		return false
	}
	delete(c.shut, namespace)
	return true
}

// Admits tells whether a Workflow may be created now: where its namespace is shut only a probe may, and only until another
// probe of its round was refused. The reason is that of the namespace.
func (c *Causes) Admits(namespace string, probe bool) (reason string, admitted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shut[namespace]
	if s == nil {
		return "", true
	}
	return s.Reason, probe && !s.broken
}

// Due returns the probes that may begin now. A namespace has none while some are in flight.
func (c *Causes) Due(now time.Time) []Probe {
	c.mu.Lock()
	defer c.mu.Unlock()
	var due []Probe
	for _, namespace := range slices.Sorted(maps.Keys(c.shut)) {
		if s := c.shut[namespace]; s.inFlight == 0 && !now.Before(s.Next) {
			due = append(due, Probe{Namespace: namespace, Tasks: s.size()})
		}
	}
	return due
}

// size is how many probes go together: 1, 1, 2, 4 … while all pass, and not more than the room that was freed.
func (s *shutNamespace) size() int {
	size := min(max(s.passed, 1), mostProbes)
	if s.freed > 0 {
		return min(s.freed, size)
	}
	return size
}

// Begin takes note of probes that begin. Each ends with Refused, Passed or Unproven.
func (c *Causes) Begin(namespace string, probes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.shut[namespace]; s != nil {
		s.inFlight, s.empty, s.broken = s.inFlight+probes, 0, false
	}
}

// Next returns when the next probe is due; false where none will be before something changes.
func (c *Causes) Next() (next time.Time, some bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.shut {
		if s.inFlight == 0 && (!some || s.Next.Before(next)) {
			next, some = s.Next, true
		}
	}
	return next, some
}

// Shut returns the namespaces that are shut, each with its reason.
func (c *Causes) Shut() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	shut := make(map[string]string, len(c.shut))
	for namespace, s := range c.shut {
		shut[namespace] = s.Reason
	}
	return shut
}

// Of returns what is known of a namespace, and whether it is shut.
func (c *Causes) Of(namespace string) (Delay, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.shut[namespace]; s != nil {
		return s.Delay, true
	}
	return Delay{}, false
}
