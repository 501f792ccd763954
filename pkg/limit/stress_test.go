package limit_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/limit"
)

// wait takes tokens, gives up on some, and counts those that it had.
func wait(bucket *limit.Bucket, class string, had *atomic.Int64) {
	view := bucket.Trigger()
	if class == background {
		view = bucket.Background()
	}
	for range 500 {
		ctx, cancel := context.WithCancel(context.Background())
		if rand.IntN(3) == 0 {
			time.AfterFunc(time.Duration(rand.IntN(100))*time.Microsecond, cancel)
		}
		if view.Wait(ctx) == nil {
			had.Add(1)
		}
		cancel()
	}
}

// change does to the bucket what can be done to it while it is in use.
func change(ctx context.Context, bucket *limit.Bucket) {
	for busy := false; ctx.Err() == nil; busy = !busy {
		bucket.SetBusy(busy)
		bucket.SetLimit(20_000+float64(rand.IntN(20_000)), 1+rand.IntN(20))
		bucket.Pause(time.Duration(rand.IntN(200)) * time.Microsecond)
		bucket.Background().TryAccept()
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

func TestStressNobodyWaitsForEverAndTheBucketIsWholeAfterwards(t *testing.T) {
	t.Parallel()
	bucket := limit.NewBucket(20_000, 10)
	ctx, stop := context.WithCancel(t.Context())
	var changer, waiters sync.WaitGroup
	changer.Go(func() { change(ctx, bucket) })
	var triggers, backgrounds atomic.Int64
	for range 8 {
		waiters.Go(func() { wait(bucket, trigger, &triggers) })
		waiters.Go(func() { wait(bucket, background, &backgrounds) })
	}
	waiters.Wait()
	stop()
	changer.Wait()
	require.Positive(t, triggers.Load())
	require.Positive(t, backgrounds.Load())

	bucket.SetBusy(false)
	bucket.SetLimit(0, 1)
	bucket.Background().Accept()
	bucket.Trigger().Accept()
}
