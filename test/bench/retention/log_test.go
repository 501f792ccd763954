package retention

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
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
	found, err := readStatements(strings.NewReader(log), []round{{began: time.Unix(99, 0), pruning: 2 * time.Second}})
	require.NoError(t, err)
	require.Equal(t, statements{claims: []time.Duration{1500 * time.Microsecond}, longestBatch: 29 * time.Millisecond}, found)
}

func TestEfficiencyIsOfAllRoundsAndGrowthOfTheLast(t *testing.T) {
	t.Parallel()
	rounds := []round{
		{pruning: time.Second, triggering: 2 * time.Second, pruned: 10, bytes: 1}, {pruning: time.Second, triggering: 2 * time.Second, pruned: 10, bytes: 3},
		{pruning: time.Second, triggering: 2 * time.Second, pruned: 10, bytes: 4}, {pruning: time.Second, triggering: 4 * time.Second, pruned: 10, bytes: 5},
	}
	require.Equal(t, &Result{RowsPruned: 40, Seconds: 4, Efficiency: 0.8, TableBytes: []int64{1, 3, 4, 5}, Growth: 4.0 / 3}, summarize(rounds, 110, statements{}))
}
