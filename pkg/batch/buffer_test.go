package batch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheRoomThatABurstTookIsGivenBack(t *testing.T) {
	t.Parallel()
	rule := &keepOne[int, int]{key: func(item int) int { return item }, places: map[int]int{}}
	b := newBuffer(1_000_000, rule)
	for range 2 {
		for item := range 10 * spare {
			require.NoError(t, b.add(item))
		}
		require.Len(t, b.take(9*spare), 9*spare)
		require.Equal(t, 10*spare, rule.most, "some wait still")
		require.Len(t, b.take(2*spare), spare)
		require.Nil(t, b.items)
		require.Zero(t, rule.most)
	}
	require.NoError(t, b.add(7))
	require.Equal(t, []int{7}, b.take(1))
	require.NotNil(t, b.items, "what little takes is kept")
}
