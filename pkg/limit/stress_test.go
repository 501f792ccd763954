package limit_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/penstock-cd/penstock/pkg/limit"
)

// wait takes tokens, gives up on some, and counts those that it had.
func wait(view flowcontrol.RateLimiter, had *atomic.Int64) {
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
		bucket.SetBusy(cd, busy)
		bucket.SetBusy(ci, rand.IntN(2) == 0)
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
	views := []flowcontrol.RateLimiter{bucket.Trigger(cd), bucket.Trigger(ci), bucket.Background()}
	had := make([]atomic.Int64, len(views))
	for i, view := range views {
		for range 6 {
			waiters.Go(func() { wait(view, &had[i]) })
		}
	}
	waiters.Wait()
	stop()
	changer.Wait()

	bucket.SetBusy(cd, false)
	bucket.SetBusy(ci, false)
	bucket.SetLimit(0, 1)
	for i, view := range views {
		require.Positive(t, had[i].Load())
		view.Accept()
	}
}
