package loop_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/loop"
)

// received tells whether a notification is pending, and receives it.
func received(signal *loop.Signal) bool {
	select {
	case <-signal.C():
		return true
	default:
		return false
	}
}

func TestManyNotificationsAreReceivedAsOne(t *testing.T) {
	t.Parallel()
	var signal loop.Signal
	require.False(t, received(&signal), "nobody has notified")
	for range 10 {
		signal.Notify()
	}
	require.True(t, received(&signal))
	require.False(t, received(&signal))
	signal.Notify()
	require.True(t, received(&signal), "it can be used again")
}

func TestNotifyWakesAWaiterThatCameFirst(t *testing.T) {
	t.Parallel()
	var signal loop.Signal
	woken := make(chan struct{})
	waiting := signal.C()
	go func() {
		<-waiting
		close(woken)
	}()
	signal.Notify()
	<-woken
}

func TestAfterTheLastNotificationTheWaiterSeesAllWork(t *testing.T) {
	t.Parallel()
	const notifiers, each = 8, 1000
	var signal loop.Signal
	var work atomic.Int64
	var group sync.WaitGroup
	for range notifiers {
		group.Go(func() {
			for range each {
				work.Add(1)
				signal.Notify()
			}
		})
	}
	for done := int64(0); done < notifiers*each; {
		<-signal.C()
		done += work.Swap(0)
	}
	group.Wait()
	require.Zero(t, work.Load())
}
