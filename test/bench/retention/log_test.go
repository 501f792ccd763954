package retention

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/measure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOnlyClaimsAndBatchesWhileARoundPrunesCount(t *testing.T) {
	t.Parallel()
	const log = `100.000|penstock|7|LOG:  duration: 0.5 ms  bind stmtcache_1: -- name: ClaimTasks :many
	WITH head AS (
100.001|penstock|8|LOG:  duration: 9.0 ms  bind stmtcache_1: -- name: PruneRuns :one
100.002|penstock|7|LOG:  duration: 1.0 ms  execute stmtcache_1: -- name: ClaimTasks :many
100.020|penstock|8|LOG:  duration: 20.0 ms  execute stmtcache_1: -- name: PruneRuns :one
100.030|bench|9|LOG:  duration: 900.0 ms  execute stmtcache_1: INSERT INTO event
105.000|penstock|7|LOG:  duration: 80.0 ms  execute stmtcache_1: -- name: ClaimTasks :many
`
	found, err := readStatements(strings.NewReader(log), []measure.Span{{Begin: time.Unix(99, 0), End: time.Unix(101, 0)}})
	require.NoError(t, err)
	require.Equal(t, statements{claims: []time.Duration{1500 * time.Microsecond}, longestBatch: 29 * time.Millisecond, longestQuery: "PruneRuns"}, found)
}

func TestEfficiencyIsOfTheMedianAndGrowthOfTheLast(t *testing.T) {
	t.Parallel()
	took := func(time time.Duration) fixture.Triggering { return fixture.Triggering{Took: time} }
	rounds := []measure.Span{{Begin: time.Unix(1, 0), End: time.Unix(3, 0)}, {Begin: time.Unix(3, 0), End: time.Unix(4, 0)}}
	builds := []build{
		{Triggering: took(4 * time.Second), rounds: rounds, pruned: 10, bytes: 1}, {Triggering: took(2 * time.Second), bytes: 3},
		{Triggering: took(2500 * time.Millisecond), rounds: rounds, pruned: 10, bytes: 4}, {Triggering: took(2 * time.Second), rounds: rounds, pruned: 10, bytes: 5},
	}
	require.Equal(t, &Result{
		RowsPruned: 30, Seconds: 9, Efficiency: 0.8, EfficiencyWithout: 1, Ratio: 0.8, TableBytes: []int64{1, 3, 4, 5}, Growth: 4.0 / 3,
	}, summarize(builds, 110, statements{}))
}
