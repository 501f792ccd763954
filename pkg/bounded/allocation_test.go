package bounded_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Time is for the benchmarks to compare; allocations are the same on every machine. Not parallel: AllocsPerRun counts
// those of the whole process.
func TestATaskAllocatesNoMoreThanInAnErrgroup(t *testing.T) {
	const tasks = 10_000
	errgroup := testing.AllocsPerRun(5, func() { throughErrgroup(tasks) })
	require.Greater(t, errgroup, float64(tasks))
	require.LessOrEqual(t, testing.AllocsPerRun(5, func() { throughPool(tasks, 0) }), errgroup)
	require.LessOrEqual(t, testing.AllocsPerRun(5, func() { throughMap(tasks) }), 100.0, "goroutines, not inputs")
}
