package wave

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABarrierTakesAsLongAsTheSlowestOfEachBatch(t *testing.T) {
	t.Parallel()
	took := []time.Duration{1, 10, 1, 2, 3, 1, 7}
	require.Equal(t, time.Duration(10+3+7), barrier(took, 3))
	require.Equal(t, time.Duration(25), barrier(took, 1))
	require.Equal(t, time.Duration(10), barrier(took, 20))
	require.Zero(t, barrier(nil, 5))
}

func TestATwentiethAreStragglersAndTheSameInEachRun(t *testing.T) {
	t.Parallel()
	first := stragglersOf(500)
	require.Len(t, first, 25)
	require.Equal(t, first, stragglersOf(500))
}
