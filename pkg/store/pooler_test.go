package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// transactionMode is what docs/operations.md says of pgbouncer.ini.
var transactionMode = []string{
	"pool_mode = transaction",
	"ignore_startup_parameters = search_path, statement_timeout, idle_in_transaction_session_timeout, tcp_user_timeout",
}

// roleSettings is what docs/operations.md says of Penstock's role.
func roleSettings(t *testing.T, databaseURL string) {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	require.NoError(t, err)
	role := fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET ", pgx.Identifier{config.User}.Sanitize(), pgx.Identifier{config.Database}.Sanitize())
	for _, setting := range []string{
		"search_path = penstock", "statement_timeout = '35s'", "idle_in_transaction_session_timeout = '5s'", "tcp_user_timeout = '15s'",
	} {
		executeOn(t, databaseURL, role+setting)
	}
}

func executeOn(t *testing.T, databaseURL, statement string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), databaseURL)
	require.NoError(t, err)
	_, err = connection.Exec(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, connection.Close(t.Context()))
}

func with(databaseURL, parameter string) string { return databaseURL + "&" + parameter }

func TestAPoolerThatCanNotCarryPenstockIsRefusedWithWhatToSet(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		bouncer   []string
		role      bool
		parameter string
		class     store.ProblemClass
		says      string
	}{
		"one that refuses session parameters": {
			bouncer: []string{"pool_mode = transaction"}, role: true, parameter: "default_query_exec_mode=exec",
			class: store.ProblemPooler, says: "ignore_startup_parameters",
		},
		"one that ignores search_path, where the role has none": {
			bouncer: transactionMode, parameter: "default_query_exec_mode=exec",
			class: store.ProblemSchema, says: `the session uses schema "public" instead of DATABASE_SCHEMA "penstock"`,
		},
		"one where prepared statements clash": {
			bouncer: transactionMode, role: true, parameter: "x",
			class: store.ProblemPooler, says: "add default_query_exec_mode=exec",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			direct := postgres.NewTestDatabase(t)
			if test.role {
				roleSettings(t, direct)
			}
			config := store.Config{URL: postgres.NewPgBouncer(t, direct, test.bouncer...), Schema: schema, MaxConns: 2}
			if test.parameter != "x" {
				config.URL = with(config.URL, test.parameter)
			}
			s := opened(t, config.URL)
			for what, err := range map[string]error{"ping": s.Ping(t.Context()), "migrate": s.Migrate(t.Context()), "migrate alone": store.Migrate(t.Context(), config)} {
				problem := store.ProblemOf(err)
				require.NotNil(t, problem, "%s: %v", what, err)
				require.Equal(t, test.class, problem.Class, what)
				require.Contains(t, problem.Sentence, test.says, what)
			}
			requireOnlyIn(t, direct)
		})
	}
}

// requireOnlyIn wants the database to have tables in these schemas, and no others.
func requireOnlyIn(t *testing.T, databaseURL string, want ...string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), databaseURL)
	require.NoError(t, err)
	rows, err := connection.Query(t.Context(), "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'")
	require.NoError(t, err)
	schemas, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, want, schemas)
	require.NoError(t, connection.Close(t.Context()))
}

func TestEveryCallWorksThroughAPoolerInTransactionMode(t *testing.T) {
	t.Parallel()
	direct := postgres.NewTestDatabase(t)
	roleSettings(t, direct)
	pooled := with(postgres.NewPgBouncer(t, direct, append(transactionMode, "default_pool_size = 3")...), "default_query_exec_mode=exec")
	var migrators sync.WaitGroup
	for range 3 { // the lock of one is not left to the others
		migrators.Go(func() {
			if err := store.Migrate(t.Context(), store.Config{URL: pooled, Schema: schema, MaxConns: 2}); err != nil {
				t.Errorf("migrate: %v", err)
			}
		})
	}
	migrators.Wait()
	s := openStore(t, store.Config{URL: pooled, Schema: schema, MaxConns: 6})
	other := openStore(t, store.Config{URL: pooled, Schema: schema, MaxConns: 6})
	planned(t, s, plannedBefore, given.CdPipelines(8, "web"))
	var group sync.WaitGroup
	for name, one := range calls(t) {
		for _, through := range []*store.Store{s, other} {
			group.Go(func() {
				if err := one.run(t.Context(), through); err != nil && !strings.Contains(err.Error(), store.ErrStale.Error()) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	group.Wait()
	claims, err := s.Claim(t.Context(), cd, "w", 2, lease)
	require.NoError(t, err)
	moved, err := s.Observe(t.Context(), []store.Observation{seen(claims[0], store.StatusRunning)})
	require.NoError(t, err)
	require.Len(t, moved, 1)
	require.Eventually(t, func() bool { // other tests have transactions open on the server
		execute(t, s, "INSERT INTO event (kind, namespace, build_name, pipeline, run_id, state) VALUES ('Run', 'shop', 'b1', 'web', 1, 'Failed')")
		_, err := s.TellEvents(t.Context(), 100, tellAll{})
		return err == nil && count(t, s, "notification WHERE type = 'RunFailed'") == 1
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, []string{"web"}, table(t, s, "SELECT items->0->>'pipeline' FROM notification WHERE type = 'RunFailed'"), "what is told is kept as it was")
	requireOnlyIn(t, direct, schema)
	require.Zero(t, count(t, s, "pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() WHERE l.locktype = 'advisory'"), "a lock was left behind")
}
