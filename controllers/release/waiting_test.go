package release

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

func in(namespace string, names ...string) []types.NamespacedName {
	var all []types.NamespacedName
	for _, name := range names {
		all = append(all, types.NamespacedName{Namespace: namespace, Name: name})
	}
	return all
}

func taken(w *waiting, most int) []types.NamespacedName {
	names, _ := w.take(most)
	return names
}

// woken tells whether the loop was notified since the last call.
func woken(w *waiting) bool {
	select {
	case <-w.signal.C():
		return true
	default:
		return false
	}
}

func TestWorkflowsWaitOnceInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	w := newWaiting()
	require.False(t, woken(w))
	w.add(in("a", "1", "2", "1")...)
	w.add(in("b", "1")...)
	w.add(in("a", "2")...)
	require.True(t, woken(w))
	require.Equal(t, in("a", "1", "2"), taken(w, 2))
	require.True(t, woken(w), "one is left")
	require.Equal(t, in("b", "1"), taken(w, 2))
	require.Empty(t, taken(w, 2))
	require.False(t, woken(w), "none is left")
}

func TestWhatIsTakenOfANamespaceIsNotTakenAgain(t *testing.T) {
	t.Parallel()
	w := newWaiting()
	w.add(in("a", "1", "2")...)
	w.add(in("b", "1", "2")...)
	require.Equal(t, in("a", "1", "2"), w.takeOf("a"))
	require.Empty(t, w.takeOf("a"))
	w.add(in("a", "2")...) // it could not be released
	require.Equal(t, append(in("a", "2"), in("b", "1", "2")...), taken(w, 9))
	require.Empty(t, taken(w, 9))
}

func TestItIsKnownSinceWhenTheOldestOfThoseThatAreTakenWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := newWaiting()
		w.add(in("a", "1")...)
		time.Sleep(time.Second)
		w.add(in("b", "2")...)
		time.Sleep(time.Minute)
		w.add(in("a", "1")...) // again changes nothing
		_, since := w.take(1)
		require.Equal(t, began, since)
		_, since = w.take(1)
		require.Equal(t, began.Add(time.Second), since)
		_, since = w.take(1)
		require.Zero(t, since)
	})
}
