package env

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func query[T any](t *testing.T, url, statement string) T {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = connection.Close(context.Background()) }()
	var value T
	require.NoError(t, connection.QueryRow(t.Context(), statement).Scan(&value))
	return value
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = connection.Close(context.Background()) }()
	_, err = connection.Exec(t.Context(), statement)
	require.NoError(t, err)
}

// startOwnPostgres is for tests that stop it, so never the one of DATABASE_URL.
func startOwnPostgres(t *testing.T, o PostgresOptions) *Postgres {
	t.Helper()
	o.Own = true
	p, err := StartPostgres(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestPostgresKeepsWhatWasCommittedOverACrash(t *testing.T) {
	p := startOwnPostgres(t, PostgresOptions{})
	url := p.NewTestDatabase(t)
	execute(t, url, "CREATE TABLE committed AS SELECT generate_series(1, 1000)")

	require.NoError(t, p.Stop(Immediate))
	require.NoError(t, p.Stop(Immediate), "a second time")
	_, err := pgx.Connect(t.Context(), url)
	require.Error(t, err)
	require.NoError(t, p.Restart(t.Context()))
	require.Equal(t, 1000, query[int](t, url, "SELECT count(*) FROM committed"))

	require.NoError(t, p.Restart(t.Context()), "while it runs")
	require.NoError(t, p.Stop(Fast))
	require.NoError(t, p.Restart(t.Context()))
	require.Equal(t, 1000, query[int](t, url, "SELECT count(*) FROM committed"))
}

func TestPostgresHasAsManyConnectionsAsAsked(t *testing.T) {
	p := startOwnPostgres(t, PostgresOptions{MaxConnections: 10})
	url := p.NewTestDatabase(t)
	for range 7 {
		connection, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		defer func() { _ = connection.Close(context.Background()) }()
	}
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorContains(t, err, "53300") // too_many_connections, or what is kept for superusers
	require.Equal(t, "10", query[string](t, p.AdminURL, "SHOW max_connections"))
}

func TestPostgresLogsWhatItsSettingsAsk(t *testing.T) {
	p := startOwnPostgres(t, PostgresOptions{Settings: []string{"log_statement=all", "log_line_prefix=%a|"}})
	url := p.NewTestDatabase(t) + "&application_name=teller"
	execute(t, url, "SELECT 'told'")

	log, err := os.ReadFile(p.Log())
	require.NoError(t, err)
	require.Contains(t, string(log), "teller|LOG:")
	require.Contains(t, string(log), "SELECT 'told'")
}

func TestPostgresHasAClockOfItsOwnWhereAsked(t *testing.T) {
	for _, offset := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		p := startOwnPostgres(t, PostgresOptions{ClockOffset: offset})
		for _, clock := range []string{"now()", "clock_timestamp()"} {
			told := query[time.Time](t, p.AdminURL, "SELECT "+clock)
			require.WithinDuration(t, time.Now().Add(offset), told, time.Minute, clock)
		}
		require.NoError(t, p.Restart(t.Context()))
		require.WithinDuration(t, time.Now().Add(offset), query[time.Time](t, p.AdminURL, "SELECT now()"), time.Minute)
	}
}

func TestAGivenServerIsUsedAndLeftRunning(t *testing.T) {
	own := startOwnPostgres(t, PostgresOptions{})
	t.Setenv("DATABASE_URL", own.AdminURL)
	given, err := StartPostgres(t.Context(), PostgresOptions{})
	require.NoError(t, err)
	url, err := given.NewDatabase(t.Context(), "given")
	require.NoError(t, err)
	execute(t, url, "CREATE TABLE anything ()")

	require.ErrorIs(t, given.Stop(Fast), ErrForeign)
	require.ErrorIs(t, given.Restart(t.Context()), ErrForeign)
	require.NoError(t, given.Close())
	require.Zero(t, query[int](t, own.AdminURL, "SELECT count(*) FROM pg_database WHERE datname LIKE 'given%'"))
}

func TestDatabasesOfOneServerDoNotMeet(t *testing.T) {
	t.Parallel()
	first, second := local.NewDatabase(t), local.NewDatabase(t)
	for i, url := range []string{first, second} {
		execute(t, url, fmt.Sprintf("CREATE TABLE mine AS SELECT %d AS number", i))
	}
	require.Equal(t, 0, query[int](t, first, "SELECT number FROM mine"))
	require.Equal(t, 1, query[int](t, second, "SELECT number FROM mine"))
}
