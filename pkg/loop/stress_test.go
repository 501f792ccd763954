package loop_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

func TestStartStopStress(t *testing.T) {
	t.Parallel()
	lifecycle.Stress(t, func() manager.Runnable {
		signal := &loop.Signal{}
		running, runs := false, 0 // only one run at a time touches them
		return loop.New(loop.Config{
			Name: "test", Signal: signal, Retry: time.Microsecond, MinInterval: time.Microsecond,
			OnError: func(error, time.Duration) {},
			Run: func(context.Context) (time.Duration, error) {
				require.False(t, running)
				running = true
				runtime.Gosched()
				running = false
				runs++
				signal.Notify()
				if runs%3 == 0 {
					return 0, errDown
				}
				return 0, nil
			},
		})
	})
}

func TestStressEveryPieceOfWorkIsDoneAfterItsNotification(t *testing.T) {
	t.Parallel()
	const notifiers, each = 8, 1000
	signal := &loop.Signal{}
	var work, done atomic.Int64
	all, finish := context.WithCancel(t.Context())
	l := loop.New(loop.Config{Name: "test", Signal: signal, Run: func(context.Context) (time.Duration, error) {
		if done.Add(work.Swap(0)) == notifiers*each {
			finish()
		}
		return 0, nil
	}})
	start(t, l)
	var group sync.WaitGroup
	for range notifiers {
		group.Go(func() {
			for range each {
				work.Add(1)
				signal.Notify()
			}
		})
	}
	group.Wait()
	<-all.Done()
}
