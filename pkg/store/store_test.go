package store_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

const password = "s3cret-pa55word"

// silent is a server that takes connections and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func TestACallOfAServerThatDoesNotAnswerEndsWithoutThePassword(t *testing.T) {
	t.Parallel()
	for sentence, server := range map[string]func(*testing.T) string{
		"nobody listens":              refusing,
		"somebody listens in silence": silent,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			address := fmt.Sprintf("postgres://penstock:%s@%s/penstock?sslmode=disable", password, server(t))
			s := opened(t, address)
			began := time.Now()
			err := s.Ping(t.Context())
			requireNoPassword(t, err)
			require.Less(t, time.Since(began), 2*store.PingTimeout)

			began = time.Now()
			_, err = s.Claim(t.Context(), cd, "w", 1, lease)
			requireNoPassword(t, err)
			require.Less(t, time.Since(began), 2*store.ClaimTimeout)

			began = time.Now()
			requireNoPassword(t, store.Migrate(t.Context(), store.Config{URL: address, Schema: schema, MaxConns: 1}))
			require.Less(t, time.Since(began), 2*store.ConnectTimeout)
		})
	}
}

func opened(t *testing.T, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: address, Schema: schema, MaxConns: 2})
	require.NoError(t, err, "a server that is down is no error yet")
	t.Cleanup(s.Close)
	return s
}

func requireNoPassword(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.NotContains(t, err.Error(), password)
	require.NotContains(t, fmt.Sprintf("%+v", err), password)
}

func TestAWrongPasswordIsNotTold(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(postgres.NewTestDatabase(t))
	require.NoError(t, err)
	address.User = url.UserPassword("nobody-of-that-name", password)
	requireNoPassword(t, opened(t, address.String()).Ping(t.Context()))
	requireNoPassword(t, store.Migrate(t.Context(), store.Config{URL: address.String(), Schema: schema, MaxConns: 1}))
}

func TestWhatIsNoConnectionStringIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://penstock:" + password + "@host:port/db",
		"postgres://penstock:" + password + "@host:5432/db?sslmode=maybe",
		"postgres://penstock:" + password + "%zz@host/db",
		"password=" + password + " host",
	} {
		_, err := store.Open(t.Context(), store.Config{URL: address, Schema: schema, MaxConns: 1})
		requireNoPassword(t, err)
		require.ErrorContains(t, err, "DATABASE_URL is not a Postgres connection string")
		requireNoPassword(t, store.Migrate(t.Context(), store.Config{URL: address, Schema: schema, MaxConns: 1}))
	}
}

func TestACallWaitsForAConnectionNoLongerThanItsTimeout(t *testing.T) {
	t.Parallel()
	var waited atomic.Int64
	config := store.Config{
		URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 1,
		OnAcquire: func(wait time.Duration) { waited.Add(int64(wait)) },
	}
	s := openStore(t, config)
	taken, err := s.Pool().Acquire(t.Context())
	require.NoError(t, err)
	began := time.Now()
	err = s.Ping(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.InDelta(t, store.PingTimeout.Seconds(), time.Since(began).Seconds(), 1.5)
	require.InDelta(t, store.PingTimeout.Seconds(), time.Duration(waited.Load()).Seconds(), 1.5, "not told")
	taken.Release()
	require.NoError(t, s.Ping(t.Context()))
}

func TestNoMoreConnectionsAreOpenThanAllowed(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 3, ApplicationName: "counted"}
	s := openStore(t, config)
	planned(t, s, "b1", given.CdPipelines(20, "web"))
	errs := make(chan error, 40)
	for range cap(errs) {
		go func() {
			_, _, err := s.QueueDepth(t.Context())
			errs <- err
		}()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	open := count(t, s, "pg_stat_activity WHERE application_name = 'counted' AND datname = current_database()")
	require.LessOrEqual(t, open, 3)
	require.Positive(t, open)
}

func TestDataThatIsRefusedIsToldFromADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                         {nil, false},
		"text with a NUL":                  {&pgconn.PgError{Code: "22021"}, true},
		"a number out of range":            {&pgconn.PgError{Code: "22003"}, true},
		"a value that a check refuses":     {&pgconn.PgError{Code: "23514"}, true},
		"the same, wrapped":                {fmt.Errorf("plan build: %w", &pgconn.PgError{Code: "23514"}), true},
		"a deadlock":                       {&pgconn.PgError{Code: "40P01"}, false},
		"a server that shuts down":         {&pgconn.PgError{Code: "57P01"}, false},
		"too many connections":             {&pgconn.PgError{Code: "53300"}, false},
		"a table that does not exist":      {&pgconn.PgError{Code: "42P01"}, false},
		"a call that ended at its timeout": {context.DeadlineExceeded, false},
	} {
		require.Equal(t, test.want, store.IsInvalid(test.err), sentence)
	}
}
