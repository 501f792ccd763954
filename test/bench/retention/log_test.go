package retention

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/test/env"
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
	rounds := []measure.Span{{Begin: time.Unix(1, 0), End: time.Unix(3, 0)}, {Begin: time.Unix(3, 0), End: time.Unix(4, 0)}}
	builds := []build{
		{rounds: rounds, triggering: 4 * time.Second, pruned: 10, bytes: 1}, {triggering: 2 * time.Second, bytes: 3},
		{rounds: rounds, triggering: 2500 * time.Millisecond, pruned: 10, bytes: 4}, {rounds: rounds, triggering: 2 * time.Second, pruned: 10, bytes: 5},
	}
	require.Equal(t, &Result{
		RowsPruned: 30, Seconds: 9, Efficiency: 0.8, EfficiencyWithout: 1, Ratio: 0.8, TableBytes: []int64{1, 3, 4, 5}, Growth: 4.0 / 3,
	}, summarize(builds, 110, statements{}))
}

func TestABuildIsTimedFromItsSuccessByTheAuditLog(t *testing.T) {
	t.Parallel()
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	event := func(verb, resource string, received, finished int64) env.AuditEvent {
		return env.AuditEvent{User: string(env.Penstock), Verb: verb, Resource: resource, Code: 201, Received: at(received), Finished: at(finished)}
	}
	events := []env.AuditEvent{
		event("create", "workflows", 3, 4), event("create", "workflows", 99, 100), // of an earlier build
		event("update", "leases", 101, 102), event("watch", "workflows", 103, 104),
		event("create", "workflows", 105, 107), event("create", "workflows", 103, 106),
		event("patch", "cdpipelines", 108, 109), // later
	}
	var one build
	require.NoError(t, one.time(events, at(100), at(101), 2))
	require.Equal(t, build{start: 2 * time.Second, triggering: 6 * time.Second, others: map[string]int{"update leases": 1}}, one)
	require.ErrorContains(t, one.time(events, at(100), at(101), 3), "2 creates of 3 triggers")
}

func TestOnlyStatusThatTheControllerWritesIsWaitedFor(t *testing.T) {
	t.Parallel()
	patch := func(user env.User, subresource string, finished int64) env.AuditEvent {
		return env.AuditEvent{User: string(user), Verb: "patch", Subresource: subresource, Finished: time.Unix(finished, 0)}
	}
	events := []env.AuditEvent{patch(env.Penstock, "status", 5), patch(env.Penstock, "", 8), patch("somebody", "status", 9)}
	require.Equal(t, time.Unix(5, 0), lastStatus(events, time.Unix(1, 0)))
	require.Equal(t, time.Unix(6, 0), lastStatus(events, time.Unix(6, 0)))
}
