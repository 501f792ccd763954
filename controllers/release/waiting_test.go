package release

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

func TestItIsKnownSinceWhenTheOldestOfSomeWorkflowsWaits(t *testing.T) {
	t.Parallel()
	first, second := types.NamespacedName{Namespace: "a", Name: "1"}, types.NamespacedName{Namespace: "b", Name: "2"}
	now := time.Now()
	w := newWaiting()
	w.add(first, now)
	w.add(second, now.Add(time.Second))
	w.add(first, now.Add(time.Minute)) // again changes nothing
	both := []types.NamespacedName{second, first}
	require.Equal(t, now, w.oldest(both))
	w.remove(first)
	require.Equal(t, now.Add(time.Second), w.oldest(both))
	require.Equal(t, []types.NamespacedName{second}, w.take("b"))
	require.Zero(t, w.oldest(both))
}
