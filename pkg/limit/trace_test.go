package limit_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/penstock-cd/penstock/pkg/limit"
)

// grant is a token that somebody had, so long after the trace began.
type grant struct {
	to    string // see view
	after time.Duration
}

// trace is a bucket with a record of who had its tokens, and when.
type trace struct {
	*limit.Bucket
	t     *testing.T
	begin time.Time

	mu     sync.Mutex
	grants []grant
}

// inBubble runs a test on a bucket whose time is that of a synctest bubble.
func inBubble(t *testing.T, qps float64, burst int, test func(*testing.T, *trace)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		test(t, &trace{Bucket: limit.NewBucket(qps, burst), t: t, begin: time.Now()})
	})
}

// ask lets n callers wait, each in its turn in the line of a view.
func (tr *trace) ask(view string, n int) {
	tr.askWith(tr.t.Context(), view, n)
}

func (tr *trace) askWith(ctx context.Context, view string, n int) {
	for range n {
		go func() {
			if tr.view(view).Wait(ctx) == nil {
				tr.record(view)
			}
		}()
		synctest.Wait()
	}
}

// view is that of background or of the lane of that name; trigger is lane cd, for tests of one lane.
func (tr *trace) view(name string) flowcontrol.RateLimiter {
	switch name {
	case background:
		return tr.Background()
	case trigger:
		return tr.Trigger(cd)
	default:
		return tr.Trigger(name)
	}
}

func (tr *trace) record(to string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.grants = append(tr.grants, grant{to, time.Since(tr.begin)})
}

// order returns who had the tokens so far, the first one first.
func (tr *trace) order() (order []string) {
	synctest.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, g := range tr.grants {
		order = append(order, g.to)
	}
	return order
}

// count returns how many tokens a view had so far.
func (tr *trace) count(view string) (n int) {
	for _, to := range tr.order() {
		if to == view {
			n++
		}
	}
	return n
}

// drain takes the tokens that are at hand.
func (tr *trace) drain() {
	for tr.Trigger(cd).TryAccept() {
	}
}

// require asserts how many tokens each class had so far.
func (tr *trace) require(triggers, backgrounds int) {
	tr.t.Helper()
	require.Equal(tr.t, triggers, tr.count(trigger), "tokens of trigger")
	require.Equal(tr.t, backgrounds, tr.count(background), "tokens of background")
}
