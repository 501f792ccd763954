package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

// outage keeps failures of the API server until it is known whether their tasks are to
// blame. It is safe for concurrent use.
type outage struct {
	mu       sync.Mutex
	verdicts limit.Outage
	failures map[int64]failure // that are not judged yet, by task
	told     bool              // that there is an outage
	over     chan struct{}     // closed, and replaced, when somebody is answered
	timer    *time.Timer
}

// failure is a submission that the API server failed to answer.
type failure struct {
	task       task
	completion store.Completion
	err        error
}

func newOutage() *outage {
	return &outage{failures: map[int64]failure{}, over: make(chan struct{})}
}

// fails tells whether nobody has been answered since the last failure, and returns a channel
// that is closed when somebody is.
func (o *outage) fails() (fails bool, over <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.verdicts.Fails(), o.over
}

// pause is how long it is until the next submission may begin.
func (o *outage) pause() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.verdicts.Pause(time.Now())
}

// rest is for how long an empty queue is left alone.
func (o *outage) rest() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.verdicts.Rest(time.Now())
}

// await returns when the next submission may begin, or when ctx ends.
func (o *outage) await(ctx context.Context) error {
	for {
		o.mu.Lock()
		now := time.Now()
		pause, over := o.verdicts.Pause(now), o.over
		if pause == 0 {
			o.verdicts.Tries(now)
		}
		o.mu.Unlock()
		if pause == 0 {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-over:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// suspect keeps a failure until its task is judged, or judges it.
func (d *Dispatcher) suspect(one failure) {
	o := d.outage
	o.mu.Lock()
	now := time.Now()
	verdict, judged := o.verdicts.Failed(one.task.claim.ID, now)
	o.failures[one.task.claim.ID] = one
	var verdicts []limit.Verdict
	if judged {
		verdicts = []limit.Verdict{verdict}
	} else if until, some := o.verdicts.Suspects(); some && o.timer == nil {
		o.timer = time.AfterFunc(until.Sub(now), d.expire)
	}
	since := o.verdicts.Since()
	ends := o.judged(verdicts)
	o.mu.Unlock()
	d.pass(ends, since)
}

// answered takes note of a submission that the API server has answered.
func (d *Dispatcher) answered(t task) {
	o := d.outage
	o.mu.Lock()
	now, since, failed := time.Now(), o.verdicts.Since(), o.verdicts.Fails()
	ends := o.judged(o.verdicts.Answered(t.claim.ID, *t.began, now))
	over := failed && !o.verdicts.Fails()
	lasted := over && o.told
	if over {
		o.told = false
		close(o.over)
		o.over = make(chan struct{})
	}
	o.mu.Unlock()
	d.pass(ends, since)
	if lasted {
		d.metrics.outage.Set(0)
		d.Log.Info("the API server answers again, triggers go on", "after", now.Sub(since).Round(time.Millisecond).String())
	}
	if over {
		d.Wake()
	}
}

// expire judges the failures that an outage explains.
func (d *Dispatcher) expire() {
	o := d.outage
	o.mu.Lock()
	now, since := time.Now(), o.verdicts.Since()
	ends := o.judged(o.verdicts.Expired(now))
	o.timer = nil
	if until, some := o.verdicts.Suspects(); some {
		o.timer = time.AfterFunc(until.Sub(now), d.expire)
	}
	begins := o.verdicts.Lasts(now) && !o.told
	o.told = o.told || begins
	o.mu.Unlock()
	if begins {
		d.metrics.outage.Set(1)
		d.Log.Info("the API server fails, triggers wait until it answers", "since", since.UTC().Format(time.RFC3339Nano))
	}
	d.pass(ends, since)
}

// forget gives back what is not judged, as at shutdown.
func (d *Dispatcher) forget() {
	o := d.outage
	o.mu.Lock()
	since := o.verdicts.Since()
	ends := o.judged(o.verdicts.Forget())
	o.told = false
	o.mu.Unlock()
	d.metrics.outage.Set(0)
	d.pass(ends, since)
}

// judgment is a failure of which it is known who is to blame.
type judgment struct {
	failure
	alone bool
}

// judged removes and returns the failures. The caller holds the lock.
func (o *outage) judged(verdicts []limit.Verdict) []judgment {
	ends := make([]judgment, 0, len(verdicts))
	for _, verdict := range verdicts {
		ends = append(ends, judgment{o.failures[verdict.Task], verdict.Alone})
		delete(o.failures, verdict.Task)
	}
	return ends
}

// pass commits what has been judged. Since is when the API server began to fail. What is to
// be tried again soon is looked for then.
func (d *Dispatcher) pass(ends []judgment, since time.Time) {
	if len(ends) > 0 {
		time.AfterFunc(rowFirst+commitInterval, d.Wake)
	}
	for _, end := range ends {
		completion := end.completion
		if !end.alone {
			completion = excused(completion, end.err, since)
		}
		d.settle(end.task, completion, end.err)
	}
}
