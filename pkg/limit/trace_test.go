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
	class string
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

// ask lets n callers wait, each in its turn in the line.
func (tr *trace) ask(class string, n int) {
	tr.askWith(tr.t.Context(), class, n)
}

func (tr *trace) askWith(ctx context.Context, class string, n int) {
	for range n {
		go func() {
			if tr.view(class).Wait(ctx) == nil {
				tr.record(class)
			}
		}()
		synctest.Wait()
	}
}

func (tr *trace) view(class string) flowcontrol.RateLimiter {
	if class == limit.TriggerClass {
		return tr.Trigger()
	}
	return tr.Background()
}

func (tr *trace) record(class string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.grants = append(tr.grants, grant{class, time.Since(tr.begin)})
}

// count returns how many tokens a class had so far.
func (tr *trace) count(class string) (n int) {
	synctest.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, g := range tr.grants {
		if g.class == class {
			n++
		}
	}
	return n
}

// drain takes the tokens that are at hand.
func (tr *trace) drain() {
	for tr.Trigger().TryAccept() {
	}
}

// require asserts how many tokens each class had so far.
func (tr *trace) require(triggers, backgrounds int) {
	tr.t.Helper()
	require.Equal(tr.t, triggers, tr.count(limit.TriggerClass), "tokens of trigger")
	require.Equal(tr.t, backgrounds, tr.count(limit.BackgroundClass), "tokens of background")
}
