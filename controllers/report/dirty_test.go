package report

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/loop"
)

func key(n int) types.NamespacedName {
	return types.NamespacedName{Namespace: "default", Name: fmt.Sprintf("object-%d", n)}
}

func woken(wake *loop.Signal) bool {
	select {
	case <-wake.C():
		return true
	default:
		return false
	}
}

func TestAnObjectThatIsMarkedTenTimesIsTakenOnce(t *testing.T) {
	t.Parallel()
	set := newDirtySet(&loop.Signal{})
	for range 10 {
		set.add(key(1), key(2))
	}
	require.ElementsMatch(t, []types.NamespacedName{key(1), key(2)}, set.take(10))
	require.Empty(t, set.take(10))
}

func TestAnObjectThatWaitsIsNotOvertaken(t *testing.T) {
	t.Parallel()
	const objects, each = 100, 10
	set := newDirtySet(&loop.Signal{})
	all := make([]types.NamespacedName, objects)
	for n := range all {
		all[n] = key(n)
	}
	var taken []types.NamespacedName
	for range objects / each {
		set.add(all...) // as a sweep does
		taken = append(taken, set.take(each)...)
	}
	require.Equal(t, all, taken)
}

func TestTheReporterIsWokenWhileSomethingIsLeft(t *testing.T) {
	t.Parallel()
	wake := &loop.Signal{}
	set := newDirtySet(wake)
	set.add()
	require.False(t, woken(wake), "for nothing")
	set.again()
	require.False(t, woken(wake), "for nothing")
	set.add(key(1), key(2), key(3))
	require.True(t, woken(wake))
	require.Len(t, set.take(2), 2)
	require.True(t, woken(wake), "one is left")
	set.again()
	require.True(t, woken(wake), "one is left still")
	require.Len(t, set.take(1), 1)
	require.False(t, woken(wake), "none is left")
}

func TestMarkingAndTakingAtOnceLosesNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 500
	wake := &loop.Signal{}
	set := newDirtySet(wake)
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for n := range each {
				set.add(key(writer*each + n))
			}
		})
	}
	taken := map[types.NamespacedName]int{}
	for len(taken) < writers*each {
		<-wake.C()
		for _, key := range set.take(7) {
			taken[key]++
		}
	}
	group.Wait()
	for key, times := range taken {
		require.Equal(t, 1, times, key)
	}
}

func TestWhatHasChangedGoesBeforeWhatIsOnlyLookedAtAgain(t *testing.T) {
	t.Parallel()
	set := newDirtySet(&loop.Signal{})
	set.addLater(key(1), key(2), key(1))
	set.add(key(3))
	require.Equal(t, []types.NamespacedName{key(3), key(1)}, set.take(2))
	set.add(key(4))
	require.Equal(t, []types.NamespacedName{key(4), key(2)}, set.take(3))
	require.Empty(t, set.take(3))
}

func TestItIsKnownSinceWhenTheOldestChangeWaitsOfWhatIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := newDirtySet(&loop.Signal{})
		began := time.Now()
		set.addLater(key(9)) // a sweep only looks at it again
		set.add(key(1), key(2))
		time.Sleep(3 * time.Second)
		set.add(key(2), key(3)) // what waits keeps its place
		require.Len(t, set.take(2), 2)
		require.Equal(t, began, set.taken)
		require.Len(t, set.take(1), 1)
		require.Equal(t, began.Add(3*time.Second), set.taken)
		require.Len(t, set.take(1), 1)
		require.Zero(t, set.taken, "nothing of it has changed")
	})
}
