package store_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

var postgres *env.Postgres

func TestMain(m *testing.M) {
	os.Exit(env.RunTestsWithPostgres(m, env.PostgresOptions{MaxConnections: 300}, &postgres))
}

const schema = "penstock"

// cd is the lane of stages in our own cluster.
var cd = store.Lane{Kind: store.KindCd}

// unordered pipelines run any number of builds at once: for tests that plan many of
// them, and whose subject is not the order.
var unordered = given.Concurrency(v1alpha1.ConcurrencyAllow)

// newStore is a store with tables of its own.
func newStore(t testing.TB) *store.Store {
	t.Helper()
	return openStore(t, store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 10})
}

func openStore(t testing.TB, config store.Config) *store.Store {
	t.Helper()
	require.NoError(t, store.Migrate(t.Context(), config))
	s, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func decider(t testing.TB) trigger.Decider {
	t.Helper()
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	return trigger.Decider{Filters: filters}
}

// planOf is what is committed for a build of CI with this family below.
func planOf(t testing.TB, build trigger.Build, artifacts []v1alpha1.Artifact, family given.Family) store.BuildPlan {
	t.Helper()
	decisions := decider(t).Build(build, given.CiPipeline(given.CI), artifacts, family)
	return store.BuildPlan{Build: build, Artifacts: artifacts, Decisions: decisions}
}

// planned commits a build with one artifact and this family below.
func planned(t testing.TB, s *store.Store, build string, family given.Family) {
	t.Helper()
	plannedBuild(t, s, given.Build(build), given.Artifacts(1), family)
}

func plannedBuild(t testing.TB, s *store.Store, build trigger.Build, artifacts []v1alpha1.Artifact, family given.Family) {
	t.Helper()
	done, err := s.Plan(t.Context(), planOf(t, build, artifacts, family))
	require.NoError(t, err)
	require.True(t, done)
}

// builtAt is a build that was created so many minutes after the first.
func builtAt(name string, minute int) trigger.Build {
	build := given.Build(name)
	build.CreatedAt = time.Date(2024, 5, 17, 12, minute, 0, 0, time.UTC)
	return build
}

// taskIDs are the ids of all tasks, in order.
func taskIDs(t testing.TB, s *store.Store) []int64 {
	t.Helper()
	rows, err := s.Pool().Query(t.Context(), "SELECT id FROM task ORDER BY id")
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return ids
}

// table is what a query yields, each row as its columns joined by spaces.
func table(t testing.TB, s *store.Store, query string, args ...any) []string {
	t.Helper()
	rows, err := s.Pool().Query(t.Context(), query, args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return strings.TrimSuffix(fmt.Sprintln(values...), "\n"), err
	})
	require.NoError(t, err)
	return lines
}

func count(t testing.TB, s *store.Store, from string) int {
	t.Helper()
	var n int
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n))
	return n
}

func execute(t testing.TB, s *store.Store, statement string, args ...any) {
	t.Helper()
	_, err := s.Pool().Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func status(t testing.TB, s *store.Store, id int64) string {
	t.Helper()
	lines := table(t, s, "SELECT status FROM task WHERE id = $1", id)
	require.Len(t, lines, 1)
	return lines[0]
}

// claim takes tasks that must be there.
func claim(t testing.TB, s *store.Store, worker string, n int) []store.Claim {
	t.Helper()
	claims, err := s.Claim(t.Context(), cd, worker, n, lease)
	require.NoError(t, err)
	require.Len(t, claims, n)
	return claims
}

// seen is an observation of the Workflow of a claim.
func seen(claim store.Claim, status store.Status) store.Observation {
	return store.Observation{
		Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, WorkflowUID: workflowUID(claim), Identity: claim.Identity, Status: status,
	}
}

func workflowUID(claim store.Claim) string { return "uid of " + claim.WorkflowName }

// fingerprint is everything that the tables hold, so that two can be compared.
func fingerprint(t testing.TB, s *store.Store) []string {
	t.Helper()
	names := table(t, s, "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> 'goose_db_version' ORDER BY 1", schema)
	require.Contains(t, names, "task")
	var all []string
	for _, name := range names {
		all = append(all, table(t, s, "SELECT '"+name+" ' || x::text || x.xmin::text FROM "+name+" x ORDER BY 1")...)
	}
	return all
}
