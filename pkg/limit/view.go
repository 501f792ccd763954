package limit

import (
	"context"
	"time"

	"k8s.io/client-go/util/flowcontrol"
)

// view is the bucket as one class of requests sees it.
type view struct {
	bucket *Bucket
	class  string
}

var _ flowcontrol.RateLimiter = (*view)(nil)

// TryAccept takes a token if there is one for this class now.
func (v *view) TryAccept() bool { return v.bucket.try(v.class) }

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
	w, err := v.bucket.enter(ctx, v.class)
	if err != nil {
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

// Stop does nothing: the other view goes on.
func (v *view) Stop() {}

// QPS returns the rate of the whole bucket, in tokens per second; +Inf without a limit.
func (v *view) QPS() float32 { return float32(v.bucket.tokens.Limit()) }
