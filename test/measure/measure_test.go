package measure

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheMedianIsTheMiddleAndTheLowerOfTwo(t *testing.T) {
	t.Parallel()
	require.Zero(t, Median([]int(nil)))
	require.Equal(t, 7, Median([]int{7}))
	require.Equal(t, 2, Median([]int{3, 2}))
	require.InDelta(t, 2.5, Median([]float64{9, 1, 2.5}), 0)
	require.Equal(t, 2, MedianOf([]string{"a", "ccc", "bb"}, func(s string) int { return len(s) }))
}

func TestAPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	var values []time.Duration
	for i := 200; i > 0; i-- {
		values = append(values, time.Duration(i))
	}
	require.Equal(t, time.Duration(100), Percentile(values, 50))
	require.Equal(t, time.Duration(198), Percentile(values, 99))
	require.Equal(t, time.Duration(200), Percentile(values, 100))
	require.Equal(t, time.Duration(3), Percentile([]time.Duration{3}, 1))
	require.Zero(t, Percentile(nil, 50))
}

func TestSpansThatOnlyTouchDoNotOverlap(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	require.Equal(t, 0, MostAtOnce(nil))
	require.Equal(t, 1, MostAtOnce([]Span{{at(0), at(1)}, {at(1), at(2)}}))
	require.Equal(t, 3, MostAtOnce([]Span{{at(5), at(9)}, {at(0), at(10)}, {at(8), at(11)}, {at(9), at(10)}}))
}

func TestAPeakIsTheHighestOfWhatWasRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		values := []int{3, 8, 5}
		peak := WatchPeak(t.Context(), time.Second, func(context.Context) (int, error) {
			value := values[0]
			values = values[min(1, len(values)-1):]
			return value, nil
		})
		time.Sleep(10 * time.Second)
		most, err := peak.Stop()
		require.NoError(t, err)
		require.Equal(t, 8, most)
	})
}

func TestAPeakThatCannotBeReadSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		peak := WatchPeak(t.Context(), time.Second, func(context.Context) (int, error) { return 0, errors.New("gone") })
		synctest.Wait()
		_, err := peak.Stop()
		require.EqualError(t, err, "gone")
	})
}

func TestOurOwnMemoryIsKnown(t *testing.T) {
	t.Parallel()
	memory, err := MemoryOf(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, memory.Resident, int64(1<<20))
	require.GreaterOrEqual(t, memory.Peak, memory.Resident)
	_, err = parseStatus([]byte("Name:\tkthreadd\n"))
	require.Error(t, err, "a kernel thread has no memory")
}

func TestAMetricIsFoundByItsWholeName(t *testing.T) {
	t.Parallel()
	const text = "# HELP go_gc x\ngo_gc_live_bytes_total 1\ngo_gc_live_bytes 2.5e+06\n"
	value, err := findMetric(strings.NewReader(text), "go_gc_live_bytes")
	require.NoError(t, err)
	require.InDelta(t, 2_500_000, value, 0)
	_, err = findMetric(strings.NewReader(text), "go_gc_live")
	require.ErrorContains(t, err, "go_gc_live")
}
