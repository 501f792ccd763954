// Package loop runs a function in the background: at start, then on a signal or after
// an interval, until its context ends. It writes caught panics and errors to the log.
package loop

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/pause"
)

// ErrStarted is returned by every Start after the first.
var ErrStarted = errors.New("loop was started before")

// defaultRetry is the pause after an error of a loop that has no Interval.
const defaultRetry = time.Second

// Config says what a Loop runs, and when. Name and Run are required.
type Config struct {
	// Name is the loop's name in penstock_panics_total and in the log of panics.
	Name string

	// Run does once what there is to do. It is never called twice at the same time, must
	// obey its context, and may panic: that is an error like any other.
	//
	// rest is for how long no signal starts the next run. It takes the place of
	// MinInterval, and after an error that of Retry; 0 leaves those in force. A run that
	// leaves something to do notifies Signal itself, and is called again after the rest.
	Run func(ctx context.Context) (rest time.Duration, err error)

	// Signal starts a run. Notifications that come before a run begins are answered by
	// that run; those that come during a run or its rest are answered by one more.
	// Optional.
	Signal *Signal

	// Interval is for how long a signal is waited for, after the rest, before Run is
	// called without one. 0 means forever: with no Signal either, Run is called until it
	// has succeeded once.
	Interval time.Duration

	// MinInterval is the rest after each run: signals that come fast are answered
	// together. Defaults to none.
	MinInterval time.Duration

	// Retry is the pause after an error. No signal shortens it. Defaults to Interval, or
	// to 1 s without one.
	Retry time.Duration

	// Jitter lengthens each Interval and each Retry by a random share of it, from 0 up to
	// this. Defaults to none.
	Jitter float64

	// EveryReplica runs the loop without leadership too.
	EveryReplica bool

	// OnError is called with the error of a run and with the pause before the next. It is
	// not called for what fails because the context has ended. Defaults to a line in Log.
	OnError func(err error, retryIn time.Duration)

	// Log receives caught panics with their stack, and errors where there is no OnError.
	Log logr.Logger
}

// Loop calls a function again and again while Start runs. It is a runnable of
// controller-runtime's manager.
type Loop struct {
	config  Config
	started atomic.Bool
}

// New returns a loop that does nothing until it is started. It panics without Name or
// Run.
func New(config Config) *Loop {
	if config.Name == "" || config.Run == nil {
		panic("loop: Config needs Name and Run")
	}
	config.Signal = cmp.Or(config.Signal, &Signal{})
	config.Retry = cmp.Or(config.Retry, config.Interval, defaultRetry)
	if config.OnError == nil {
		config.OnError = func(err error, retryIn time.Duration) {
			config.Log.Error(err, "run failed, will retry", "retryIn", retryIn.String())
		}
	}
	return &Loop{config: config}
}

// NeedLeaderElection keeps two replicas from doing the same work.
func (l *Loop) NeedLeaderElection() bool { return !l.config.EveryReplica }

// Start calls Run until ctx ends, and returns nil after the run under way has returned.
// It may be called once; later calls return ErrStarted at once.
func (l *Loop) Start(ctx context.Context) error {
	if l.started.Swap(true) {
		return ErrStarted
	}
	for ctx.Err() == nil {
		l.config.Signal.clear() // the run that begins now is the answer
		rest, err := l.runOnce(ctx)
		if err != nil {
			l.retry(ctx, err, cmp.Or(rest, l.jitter(l.config.Retry)))
			continue
		}
		if pause.For(ctx, cmp.Or(rest, l.config.MinInterval)) {
			l.idle(ctx)
		}
	}
	return nil
}

func (l *Loop) runOnce(ctx context.Context) (rest time.Duration, err error) {
	err = bounded.Protect(func() (err error) {
		rest, err = l.config.Run(ctx)
		return err
	})
	crash.Tell(l.config.Log, l.config.Name, err)
	return rest, err
}

// retry waits. After a shutdown there is nothing to tell: the next start does the work.
func (l *Loop) retry(ctx context.Context, err error, retryIn time.Duration) {
	if ctx.Err() != nil {
		return
	}
	l.config.OnError(err, retryIn)
	pause.For(ctx, retryIn)
}

// idle waits until there may be something to do.
func (l *Loop) idle(ctx context.Context) {
	var due <-chan time.Time
	if l.config.Interval > 0 {
		timer := time.NewTimer(l.jitter(l.config.Interval))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-l.config.Signal.C():
	case <-due:
	}
}

func (l *Loop) jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Float64()*l.config.Jitter*float64(d))
}
