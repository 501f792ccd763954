package limit

import (
	"context"
	"time"

	"k8s.io/client-go/util/flowcontrol"
)

// view is the bucket as the requests of one lane see it.
type view struct {
	bucket      *Bucket
	class, lane string
}

var _ flowcontrol.RateLimiter = (*view)(nil)

// TryAccept takes a token if there is one for this lane now.
func (v *view) TryAccept() bool { return v.bucket.try(v.waiter()) }

// Accept waits for a token however long that takes.
func (v *view) Accept() { _ = v.Wait(context.Background()) }

// Wait returns nil with a token, and ctx.Err() at once when ctx ends first: its place in the line, or its token, goes to
// the next. It returns an error that wraps context.DeadlineExceeded at once when the token can't come before the deadline.
func (v *view) Wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	begin := time.Now()
	err := v.wait(ctx)
	if v.bucket.OnWait != nil {
		v.bucket.OnWait(v.class, time.Since(begin))
	}
	return err
}

func (v *view) wait(ctx context.Context) error {
	w := v.waiter()
	if err := v.bucket.enter(ctx, w); err != nil {
		return err
	}
	select {
	case <-w.ready:
		return nil
	default:
	}
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		v.bucket.leave(w)
		return ctx.Err()
	}
}

func (v *view) waiter() *waiter {
	return &waiter{class: v.class, lane: v.lane, ready: make(chan struct{})}
}

// Stop does nothing: the other views go on.
func (v *view) Stop() {}

// QPS returns the rate of the whole bucket, in tokens per second; +Inf without a limit.
func (v *view) QPS() float32 { return float32(v.bucket.tokens.Limit()) }
