package adapt

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

// pool is a bound, and what the servers behind it answer.
type pool struct {
	mu       sync.Mutex
	inFlight int
	window   limit.Window
	waited   time.Duration
	acquired int64
}

func (p *pool) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inFlight
}

func (p *pool) SetLimit(inFlight int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight = inFlight
}

func (p *pool) answers() limit.Window {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.window
}

func (p *pool) databaseWait() (time.Duration, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acquired += 10
	p.waited += 10 * p.window.DatabaseWait
	return p.waited, p.acquired
}

func (p *pool) answer(window limit.Window) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window = window
}

// start runs an adapter of a pool of 5 until the end of the test.
func start(t *testing.T) (*pool, *Adapter) {
	t.Helper()
	p := &pool{inFlight: 5}
	a := New(Config{Limit: p, Answers: p.answers, DatabaseWait: p.databaseWait, Log: logr.Discard()})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return p, a
}

// fast is a server that could do more.
var fast = limit.Window{Answers: 100, Latency: 10 * time.Millisecond, PeakInFlight: 1000}

func sleep(long time.Duration) {
	time.Sleep(long)
	synctest.Wait()
}

func TestAFixedLimitStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, a := start(t)
		p.answer(fast)
		sleep(time.Minute)
		require.Equal(t, 5, p.Limit())
		a.Fix(7)
		sleep(time.Minute)
		require.Equal(t, 7, p.Limit())
	})
}

func TestAnAutomaticLimitMovesBetweenOneAndItsCeiling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, a := start(t)
		p.answer(fast)
		a.Adapt(40)
		require.Equal(t, 5, p.Limit(), "it begins where it is")
		sleep(time.Minute)
		require.Equal(t, 40, p.Limit())
		a.Adapt(30)
		require.Equal(t, 30, p.Limit(), "a lower ceiling holds at once")

		p.answer(limit.Window{Answers: 100, Latency: 10 * time.Millisecond, PeakInFlight: 1000, Overrun: 1})
		sleep(time.Minute)
		require.Equal(t, 1, p.Limit())
		p.answer(fast)
		sleep(time.Minute)
		require.Equal(t, 30, p.Limit())

		crowded := fast
		crowded.DatabaseWait = 20 * time.Millisecond
		p.answer(crowded)
		sleep(time.Minute)
		require.Equal(t, 1, p.Limit(), "connections are waited for")

		a.Fix(9)
		p.answer(fast)
		sleep(time.Minute)
		require.Equal(t, 9, p.Limit())
	})
}

func TestStartStopStress(t *testing.T) {
	t.Parallel()
	lifecycle.Stress(t, func() manager.Runnable {
		p := &pool{inFlight: 5}
		return New(Config{Limit: p, Answers: p.answers, DatabaseWait: p.databaseWait, Log: logr.Discard()})
	})
}
