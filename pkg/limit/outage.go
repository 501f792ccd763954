package limit

import "time"

const (
	// OutageAfter is how long nobody is answered before that is an outage.
	OutageAfter = time.Second
	// doubtFor is how long a task that failed together with others is remembered: when it fails so again, it is to blame.
	doubtFor = time.Minute
	// outagePart is the pause between two tries, as a part of the time for which nobody was answered; it is at least
	// leastPause and at most mostPause.
	outagePart, leastPause, mostPause = 4, 5 * time.Millisecond, 400 * time.Millisecond
	// lonely is how often a task fails in a row, while no other is tried, before it is to blame: nobody else tells whether the
	// server is away, and the task is not to be tried several times a second for ever.
	lonely = 5
)

// Verdict says who is to blame for a failure.
type Verdict struct {
	Task int64
	// Alone says that the task failed by itself, while the server answered others. Else the failure is not counted against it.
	Alone bool
}

// Outage tells an API server that answers nobody from one that fails for some tasks alone. A failure is judged when it is
// known what became of the tries that began after it:
//
//   - One of them is answered within a second, and nobody else failed meanwhile: the task is to blame.
//   - One is answered, and others failed too: the server may have been away for a moment, and nobody is to blame. A task that
//     fails so twice in a minute is.
//   - None is answered for a second: it is an outage, and nobody is to blame until somebody is answered, but for a task that
//     fails five times while no other is tried.
//
// How many tries were in flight when it began plays no part. The zero value is ready. It is not safe for concurrent use; the
// times passed to it are now.
type Outage struct {
	since    time.Time // when the first of the failures came since which nobody was answered; zero while the server answers
	suspects []suspect
	failed   map[int64]int // how often tasks have failed since
	doubted  map[int64]time.Time
	last     time.Time // when a try began last
}

type suspect struct {
	task int64
	at   time.Time
}

// Failed takes note of a try that the server failed to answer. Where it is not judged at once, it will be by Answered or
// Expired.
func (o *Outage) Failed(task int64, now time.Time) (verdict Verdict, judged bool) {
	if o.since.IsZero() {
		o.since, o.failed = now, map[int64]int{}
	}
	o.failed[task]++
	if o.Lasts(now) {
		return Verdict{Task: task, Alone: len(o.failed) == 1 && o.failed[task] >= lonely}, true
	}
	o.suspects = append(o.suspects, suspect{task: task, at: now})
	return Verdict{}, false
}

// Answered takes note of a try that was answered, and judges the failures before it began.
func (o *Outage) Answered(task int64, began, now time.Time) (verdicts []Verdict) {
	defer func() { delete(o.doubted, task) }() // its own failures before are judged first
	if o.since.IsZero() || began.Before(o.since) {
		return nil // it says nothing of the server as it was after the first failure
	}
	lasts := o.Lasts(now)
	var later []suspect
	for _, one := range o.suspects {
		if one.at.After(began) {
			later = append(later, one)
			continue
		}
		verdicts = append(verdicts, Verdict{Task: one.task, Alone: !lasts && o.isAlone(one.task, now)})
	}
	o.suspects, o.since, o.failed = later, time.Time{}, nil
	if len(later) > 0 {
		o.since, o.failed = later[0].at, map[int64]int{}
		for _, one := range later {
			o.failed[one.task]++
		}
	}
	return verdicts
}

// isAlone judges a task of which it is known that the server answered soon after.
func (o *Outage) isAlone(task int64, now time.Time) bool {
	for other, at := range o.doubted {
		if now.Sub(at) >= doubtFor {
			delete(o.doubted, other)
		}
	}
	if _, again := o.doubted[task]; again || len(o.failed) == 1 {
		delete(o.doubted, task)
		return true
	}
	if o.doubted == nil {
		o.doubted = map[int64]time.Time{}
	}
	o.doubted[task] = now
	return false
}

// Expired judges the failures that an outage explains; nobody is to blame for them.
func (o *Outage) Expired(now time.Time) []Verdict {
	if !o.Lasts(now) {
		return nil
	}
	return o.Forget()
}

// Forget judges all failures that are left, as at shutdown; nobody is to blame for them.
func (o *Outage) Forget() (verdicts []Verdict) {
	for _, one := range o.suspects {
		verdicts = append(verdicts, Verdict{Task: one.task})
	}
	o.suspects = nil
	return verdicts
}

// Suspects tells whether some failures are not judged yet, and when they will be at the latest.
func (o *Outage) Suspects() (until time.Time, some bool) {
	return o.since.Add(OutageAfter), len(o.suspects) > 0
}

// Fails tells whether the last try failed, of those whose end is known.
func (o *Outage) Fails() bool { return !o.since.IsZero() }

// Lasts tells whether there is an outage.
func (o *Outage) Lasts(now time.Time) bool {
	return o.Fails() && now.Sub(o.since) >= OutageAfter
}

// Since is when the failures began since which nobody was answered; zero where the server answers.
func (o *Outage) Since() time.Time { return o.since }

// Pause is how long it is until the next try may begin; 0 for at once. While nobody is answered it is longer the longer that
// lasts, up to 400 ms, so that the server is not flooded, and its return is noticed soon.
func (o *Outage) Pause(now time.Time) time.Duration {
	if !o.Fails() {
		return 0
	}
	from := o.last
	if from.Before(o.since) {
		from = o.since
	}
	return max(from.Add(o.Rest(now)).Sub(now), 0)
}

// Rest is how long to wait where nothing is there to be tried; 0 while the server answers. It is what lies between two tries.
func (o *Outage) Rest(now time.Time) time.Duration {
	if !o.Fails() {
		return 0
	}
	return min(max(now.Sub(o.since)/outagePart, leastPause), mostPause)
}

// Tries takes note of a try that begins.
func (o *Outage) Tries(now time.Time) { o.last = now }
