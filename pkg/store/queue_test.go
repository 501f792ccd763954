package store_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

const queued = 50_000

// fillQueue makes a queue of Pending tasks in two lanes, as many that are held, and as
// many that have ended.
func fillQueue(t *testing.T, s *store.Store) {
	t.Helper()
	execute(t, s, `INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, reason, priority, fair_at)
		SELECT CASE n % 8 WHEN 0 THEN 'ci' ELSE 'cd' END, 'default', 'CdPipeline', 'web-' || n, 'uid-' || n, 'identity-' || n, 'web-' || n, '{}',
			CASE n % 3 WHEN 0 THEN 'Pending' WHEN 1 THEN 'Held' ELSE 'Succeeded' END, CASE n % 3 WHEN 1 THEN 'StageBefore' ELSE '' END,
			n % 7, now() + n * interval '1 s'
		FROM generate_series(1, $1::integer) n`, 3*queued)
}

// claimQuery is the statement as it stands in queries/task.sql, with numbered
// parameters.
func claimQuery(t *testing.T) string {
	t.Helper()
	return strings.NewReplacer("@most", "$1", "@worker", "$2", "@lease", "$3", "@namespaces", "$4", "@kind", "$5", "@cluster_uid", "''", "@cluster", "$6",
		"@look", "$7", "@limited", "$8", "@rooms", "$9", "@room", "$10", "@causes", "$11", "@cause", "$12").Replace(queryOf(t, "ClaimTasks"))
}

// queryOf is a statement as it stands in queries/task.sql.
func queryOf(t *testing.T, name string) string {
	t.Helper()
	file, err := os.ReadFile("queries/task.sql")
	require.NoError(t, err)
	_, query, found := strings.Cut(string(file), "-- name: "+name+" :many\n")
	require.True(t, found)
	query, _, found = strings.Cut(query, ";")
	require.True(t, found)
	return query
}

var scansAllTasks = regexp.MustCompile(`Seq Scan on task`)

func TestALongQueueIsReadByItsIndex(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	execute(t, s, "ANALYZE") // so that the first round knows of empty tables alone
	fillQueue(t, s)
	for _, statistics := range []string{"SELECT 'out of date'", "ANALYZE"} {
		execute(t, s, statistics)
		requireTakenBackByIndex(t, s)
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			for _, namespaces := range []string{"{}", "{default}"} {
				plan := explain(t, s, mode, claimQuery(t), namespaces)
				require.Equal(t, 1, strings.Count(plan, "task_queue"), "%s of %s after %s:\n%s", mode, namespaces, statistics, plan)
				require.NotRegexp(t, scansAllTasks, plan, "%s of %s after %s", mode, namespaces, statistics)
			}
		}
	}
}

// explain is how Postgres would run the statement for 50 rows. After a few calls
// it may take the generic plan, which knows nothing of the parameters.
func explain(t *testing.T, s *store.Store, mode, query, namespaces string) string {
	t.Helper()
	connection, err := s.Pool().Acquire(t.Context())
	require.NoError(t, err)
	defer connection.Release()
	var plan strings.Builder
	for _, statement := range []string{
		"SET plan_cache_mode = " + mode,
		"PREPARE claim (bigint, text, interval, text[], text, text, bigint, text[], integer[], integer, text[], text) AS " + query,
		"EXPLAIN EXECUTE claim (50, 'w', '30 s', '" + namespaces + "', 'cd', '', 500, '{shut}', '{0}', 2000000000, '{QuotaExceeded}', 'NamespaceShare')",
		"DEALLOCATE claim",
	} {
		// As it stands: pgx would put arguments in the place of the parameters.
		results, err := connection.Conn().PgConn().Exec(t.Context(), statement).ReadAll()
		require.NoError(t, err)
		for _, row := range results[0].Rows {
			fmt.Fprintf(&plan, "%s\n", row[0])
		}
	}
	return plan.String()
}

// claimTarget is what a claim of a long queue may take, on a machine that does
// nothing else. claimBound is for one that runs other tests, with the race detector
// on: what it catches is a statement that reads the whole queue.
const (
	claimTarget = 20 * time.Millisecond
	claimBound  = 10 * claimTarget
)

// What has left the queue stays in its index until it is vacuumed.
func TestALongQueueIsClaimedQuicklyWhileRowsPassThrough(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	fillQueue(t, s)
	var took []time.Duration
	for range 200 {
		began := time.Now()
		claims := claim(t, s, "w", 50)
		took = append(took, time.Since(began))
		require.NoError(t, completeAll(t, s, claims))
		require.NoError(t, observeAll(t, s, claims, store.StatusSucceeded))
	}
	slices.Sort(took)
	median, slowest := took[len(took)/2], took[len(took)*99/100]
	t.Logf("claims of 50: median %s, p99 %s, want %s", median, slowest, claimTarget)
	require.Less(t, median, claimBound)
}

// A namespace that is shut sets its tasks aside once; from then on no claim meets them.
func TestALongQueueOfAShutNamespaceIsWalkedOverOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const shut = 10_000
	execute(t, s, `INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, priority, fair_at)
		SELECT 'cd', CASE WHEN n <= $1::integer THEN 'shut' ELSE 'open' END, 'CdPipeline', 'web-' || n, 'uid-' || n, 'identity-' || n, 'web-' || n, '{}', 'Pending', 0, now() + n * interval '1 s'
		FROM generate_series(1, $1::integer + 10) n`, shut)
	execute(t, s, "VACUUM ANALYZE task")
	rooms := store.Rooms{Of: map[string]store.Room{"shut": {Cause: v1alpha1.ReasonQuotaExceeded}}}
	claims := 0
	for claims < 10 {
		claimed, aside, err := s.ClaimWithin(t.Context(), cd, "w", 20, lease, rooms)
		require.NoError(t, err)
		require.True(t, len(claimed) > 0 || len(aside) > 0, "%d were claimed, and there is nothing more", claims)
		claims += len(claimed)
	}
	require.Equal(t, shut, count(t, s, "task WHERE namespace = 'shut' AND status = 'Pending' AND delayed_by = 'QuotaExceeded' AND attempt = 0"))
	require.Equal(t, 10, count(t, s, "task WHERE namespace = 'open' AND status = 'Submitting'"))
	require.Zero(t, count(t, s, "event WHERE kind = 'Task'"), "what is set aside is Pending as before")
	probes := strings.NewReplacer("@limited", "'{shut}'", "@rooms", "'{1}'", "@kind", "'cd'", "@cluster_uid", "''", "@cluster", "''", "@of_objects", "'{PolicyDenied}'",
		"@worker", "'w'", "@lease", "'30 s'").Replace(queryOf(t, "ClaimDelayed"))
	plan := strings.Join(table(t, s, "EXPLAIN "+probes), "\n")
	require.Contains(t, plan, "task_delayed")
	require.NotRegexp(t, scansAllTasks, plan)
	execute(t, s, "VACUUM task") // what has left the queue stays in its index until then

	var read int64
	claimed := table(t, s, "EXPLAIN (ANALYZE, BUFFERS, FORMAT TEXT) SELECT id FROM task WHERE status = 'Pending' AND delayed_by = '' AND kind = 'cd' AND cluster = '' ORDER BY priority DESC, fair_at, id LIMIT 500")
	for _, line := range claimed {
		if found := regexp.MustCompile(`shared hit=(\d+)`).FindStringSubmatch(line); found != nil && read == 0 {
			_, err := fmt.Sscan(found[1], &read)
			require.NoError(t, err)
		}
	}
	require.Less(t, read, int64(50), "pages:\n%s", strings.Join(claimed, "\n"))
}
