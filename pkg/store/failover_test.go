package store_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// setReadOnly decides what new sessions of a database are.
func setReadOnly(t *testing.T, databaseURL, value string) {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	require.NoError(t, err)
	admin, err := pgx.Connect(t.Context(), postgres.AdminURL)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), "ALTER DATABASE "+pgx.Identifier{config.Database}.Sanitize()+" SET default_transaction_read_only = "+value)
	require.NoError(t, err)
	require.NoError(t, admin.Close(t.Context()))
}

// openSessionsTurn has every session that a store holds turn read-only.
func openSessionsTurn(t *testing.T, s *store.Store) {
	t.Helper()
	for _, connection := range s.Pool().AcquireAllIdle(t.Context()) {
		_, err := connection.Exec(t.Context(), "SET default_transaction_read_only = on")
		require.NoError(t, err)
		connection.Release()
	}
}

func TestASessionThatTurnsReadOnlyIsClosedAndAnotherOneIsUsed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	openSessionsTurn(t, s)
	_, err := s.Claim(t.Context(), cd, "w", 1, lease)
	require.Equal(t, store.ProblemReadOnly, store.ProblemOf(err).Class)
	require.Eventually(t, func() bool {
		claims, err := s.Claim(t.Context(), cd, "w", 1, lease)
		return err == nil && len(claims) == 1
	}, slack, 10*time.Millisecond, "the read-only session is used again")
}

func TestAReadOnlyServerIsNotReadyAndUsedAtOnceWhenItCanWrite(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	s := openStore(t, config)
	setReadOnly(t, config.URL, "on")
	openSessionsTurn(t, s)
	problem := store.ProblemOf(s.Ping(t.Context()))
	require.Equal(t, store.ProblemReadOnly, problem.Class)
	require.Contains(t, problem.Sentence, "Postgres is read-only")
	require.Equal(t, store.ProblemReadOnly, store.ProblemOf(s.Ping(t.Context())).Class, "a new session is refused")
	_, err := s.Claim(t.Context(), cd, "w", 1, lease)
	require.Equal(t, store.ProblemReadOnly, store.ProblemOf(err).Class)

	setReadOnly(t, config.URL, "off")
	require.NoError(t, s.Ping(t.Context()))
	planned(t, s, "b1", nil)
}

func TestTheConnectionStringMayAskForAnySession(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	openStore(t, config)
	setReadOnly(t, config.URL, "on")
	config.URL = with(config.URL, "target_session_attrs=any")
	_, _, err := opened(t, config.URL).QueueDepth(t.Context())
	require.NoError(t, err)
}

func TestTheServerThatCanWriteIsFoundAmongSeveral(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(postgres.NewTestDatabase(t))
	require.NoError(t, err)
	address.Host = refusing(t) + "," + address.Host
	s := openStore(t, store.Config{URL: address.String(), Schema: schema, MaxConns: 2})
	require.NoError(t, s.Ping(t.Context()))
}

func TestTheServerEndsWhatAClientLeavesOpen(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(1, "web"))
	require.Equal(t, []string{"5s 35s 15000"}, table(t, s, `SELECT current_setting('idle_in_transaction_session_timeout'),
		current_setting('statement_timeout'), current_setting('tcp_user_timeout')`))
	vanished, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = vanished.Rollback(context.Background()) })
	_, err = vanished.Exec(t.Context(), "SELECT FROM task FOR UPDATE")
	require.NoError(t, err)
	claimed := time.Now()
	require.Eventually(t, func() bool {
		claims, err := s.Claim(t.Context(), cd, "w", 1, lease)
		return err == nil && len(claims) == 1
	}, 10*time.Second, 50*time.Millisecond, "the row stays locked")
	require.Greater(t, time.Since(claimed), 2*time.Second, "it was never locked")
}

func TestTheConnectionStringMaySetTheTimeouts(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{URL: with(postgres.NewTestDatabase(t), "statement_timeout=40000"), Schema: schema, MaxConns: 2})
	require.Equal(t, []string{"40s"}, table(t, s, "SELECT current_setting('statement_timeout')"))
}

func TestThePasswordFileIsReadForEachNewConnection(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	parsed, err := url.Parse(config.URL)
	require.NoError(t, err)
	role := "rotating_" + strings.TrimPrefix(parsed.Path, "/test_")
	admin, err := pgx.Connect(t.Context(), strings.Replace(postgres.AdminURL, "/postgres?", parsed.Path+"?", 1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.Background())) })
	change := func(statement string) {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	change("CREATE ROLE " + role + " LOGIN PASSWORD 'first'")
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role)
		require.NoError(t, err)
	})
	change("GRANT CREATE ON DATABASE " + strings.TrimPrefix(parsed.Path, "/") + " TO " + role)

	parsed.User = url.User(role)
	config.URL, config.PasswordFile = parsed.String(), filepath.Join(t.TempDir(), "password")
	s, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.Equal(t, store.ProblemPasswordFile, store.ProblemOf(s.Ping(t.Context())).Class)
	write := func(password string) {
		require.NoError(t, os.WriteFile(config.PasswordFile, []byte(password+"\n"), 0o600))
	}
	write("first")
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.Ping(t.Context()))

	change("ALTER ROLE " + role + " PASSWORD 'second'")
	s.Pool().Reset()
	err = s.Ping(t.Context())
	require.Equal(t, store.ProblemLogin, store.ProblemOf(err).Class)
	require.NotContains(t, err.Error(), "first")
	write("second")
	require.NoError(t, s.Ping(t.Context()))
}
