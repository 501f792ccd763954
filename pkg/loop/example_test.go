package loop_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/pkg/loop"
)

// follower embeds its loop, and so has Start and NeedLeaderElection.
type follower struct {
	*loop.Loop
	ended  loop.Signal
	stages atomic.Int64
}

func newFollower() *follower {
	f := &follower{}
	f.Loop = loop.New(loop.Config{
		Name: "follow", Run: f.runOnce, Signal: &f.ended, Interval: 5 * time.Second, Retry: time.Second,
		OnError: func(err error, retryIn time.Duration) { fmt.Println(err, retryIn) },
	})
	return f
}

// end is called by other loops.
func (f *follower) end() {
	f.stages.Add(1)
	f.ended.Notify()
}

func (f *follower) runOnce(context.Context) (time.Duration, error) {
	fmt.Println(f.stages.Swap(0), "stages have ended")
	return 0, nil
}

func Example() {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	f := newFollower()
	f.end()
	f.end()
	fmt.Println(f.Start(ctx))
	fmt.Println(f.Start(ctx))
	// Output:
	// 2 stages have ended
	// <nil>
	// loop was started before
}
