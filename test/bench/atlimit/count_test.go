package atlimit

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyWhatTheControllerWaitsForIsARoundTrip(t *testing.T) {
	t.Parallel()
	const log = `100.000|penstock|LOG:  duration: 0.1 ms  statement: begin
101.000|penstock|LOG:  duration: 0.1 ms  parse stmtcache_1: -- name: ClaimTasks :many
	WITH head AS (
101.001|penstock|LOG:  duration: 0.1 ms  bind stmtcache_1: -- name: ClaimTasks :many
101.002|penstock|LOG:  duration: 1.1 ms  execute stmtcache_1: -- name: ClaimTasks :many
101.003|bench|LOG:  duration: 0.1 ms  execute stmtcache_1: SELECT count(*)
101.004|penstock|ERROR:  canceling statement due to user request
102.000|penstock|LOG:  duration: 0.1 ms  statement: commit
109.000|penstock|LOG:  duration: 0.1 ms  statement: commit
`
	for until, want := range map[int64]int{99: 0, 100: 1, 101: 2, 102: 4, 110: 5} {
		counts, err := countRoundTrips(strings.NewReader(log), time.Unix(0, 0), time.Unix(until, 0))
		require.NoError(t, err)
		require.Equal(t, want, sum(counts), "until %d", until)
	}
	counts, err := countRoundTrips(strings.NewReader(log), time.Unix(101, 0), time.Unix(110, 0))
	require.NoError(t, err)
	require.Equal(t, map[string]int{"ClaimTasks": 2, "commit": 2}, counts)
	require.Equal(t, "2 ClaimTasks, 2 commit", most(counts))
}
