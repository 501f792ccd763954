package fault_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env/fault"
)

// patience is far above what any of these takes on a busy machine.
const patience = 30 * time.Second

// proxied is a proxy before a database with the empty table t, and a connection past
// the proxy.
func proxied(t *testing.T) (*fault.Postgres, *pgx.Conn) {
	t.Helper()
	url := local.NewDatabase(t)
	proxy, err := fault.NewPostgres(url)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	direct := connect(t, url)
	_, err = direct.Exec(t.Context(), "CREATE TABLE t (n int)")
	require.NoError(t, err)
	return proxy, direct
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = connection.Close(ctx)
	})
	return connection
}

func rows(t *testing.T, connection *pgx.Conn) (n int) {
	t.Helper()
	require.NoError(t, connection.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n))
	return n
}

const insert = "-- name: InsertN :exec\nINSERT INTO t VALUES ($1)"

// bounded is a context that ends soon, for what is meant to hang.
func bounded(t *testing.T, after time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	t.Cleanup(cancel)
	return ctx
}

func TestWithoutAFaultEverythingPasses(t *testing.T) {
	t.Parallel()
	proxy, direct := proxied(t)
	through := connect(t, proxy.URL)
	long := strings.Repeat("x", 5<<20)
	var back string
	require.NoError(t, through.QueryRow(t.Context(), "SELECT $1::text", long).Scan(&back))
	require.Equal(t, long, back)
	_, err := through.CopyFrom(t.Context(), pgx.Identifier{"t"}, []string{"n"}, pgx.CopyFromRows([][]any{{1}, {2}}))
	require.NoError(t, err)
	_, err = through.Exec(t.Context(), "SELECT 1/0")
	require.ErrorContains(t, err, "division by zero")
	require.NoError(t, pgx.BeginFunc(t.Context(), through, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), insert, 3)
		return err
	}))
	require.Equal(t, 3, rows(t, direct))
}

func TestALostReplyIsToWhatWasCommitted(t *testing.T) {
	t.Parallel()
	for sentence, run := range map[string]func(context.Context, *pgx.Conn) error{
		"to one statement": func(ctx context.Context, through *pgx.Conn) error {
			_, err := through.Exec(ctx, insert, 1)
			return err
		},
		"to a commit": func(ctx context.Context, through *pgx.Conn) error {
			return pgx.BeginFunc(ctx, through, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, insert, 1)
				return err
			})
		},
	} {
		for name, fate := range map[string]fault.Fate{"cut": fault.CutInstead, "swallowed": fault.Swallow} {
			t.Run(sentence+" is "+name, func(t *testing.T) {
				t.Parallel()
				proxy, direct := proxied(t)
				through := connect(t, proxy.URL)
				proxy.Judge(func(exchange fault.Exchange) fault.Fate {
					if exchange.Name() == "InsertN" {
						return fate
					}
					return fault.Deliver
				})
				require.Error(t, run(bounded(t, time.Second), through))
				require.Equal(t, 1, rows(t, direct), "it is committed all the same")
				require.Error(t, through.Ping(t.Context()), "the connection is gone")
				proxy.Judge(nil)
				require.NoError(t, run(t.Context(), connect(t, proxy.URL)))
			})
		}
	}
}

func TestOnlyWhatIsCommittedIsJudged(t *testing.T) {
	t.Parallel()
	proxy, _ := proxied(t)
	through := connect(t, proxy.URL)
	var judged []fault.Exchange
	proxy.Judge(func(exchange fault.Exchange) fault.Fate {
		judged = append(judged, exchange)
		return fault.Deliver
	})
	ctx := t.Context()
	tx, err := through.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, insert, 1)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(ctx))
	_, err = through.Exec(ctx, "SELECT 1/0")
	require.Error(t, err)
	require.Empty(t, judged)
	require.NoError(t, pgx.BeginFunc(ctx, through, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, insert, 2)
		return err
	}))
	proxy.Judge(nil)
	require.Len(t, judged, 1)
	require.Equal(t, []string{"begin", insert, "commit"}, judged[0].Statements)
	require.Equal(t, "InsertN", judged[0].Name())
}

func TestAStallHoldsEverythingAndLosesNothing(t *testing.T) {
	t.Parallel()
	proxy, direct := proxied(t)
	through := connect(t, proxy.URL)
	proxy.Stall()
	_, err := pgx.Connect(bounded(t, 200*time.Millisecond), proxy.URL)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	answered := make(chan error, 1)
	go func() {
		_, err := through.Exec(t.Context(), insert, 1)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("answered during the stall: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	require.Zero(t, rows(t, direct))
	proxy.Resume()
	require.NoError(t, <-answered)
	require.Equal(t, 1, rows(t, direct))
}

func TestACutEndsWhatIsOpenAlone(t *testing.T) {
	t.Parallel()
	proxy, _ := proxied(t)
	through := connect(t, proxy.URL)
	proxy.Cut()
	require.Error(t, through.Ping(t.Context()))
	require.NoError(t, connect(t, proxy.URL).Ping(t.Context()))
	proxy.Close()
	_, err := pgx.Connect(t.Context(), proxy.URL)
	require.Error(t, err)
}

func TestLatencyDelaysEveryReply(t *testing.T) {
	t.Parallel()
	proxy, _ := proxied(t)
	through := connect(t, proxy.URL)
	const latency = 200 * time.Millisecond
	proxy.SetLatency(latency)
	for range 2 {
		began := time.Now()
		require.NoError(t, through.Ping(bounded(t, patience)))
		require.GreaterOrEqual(t, time.Since(began), latency)
	}
}

func TestManyConnectionsMayBeJudgedAtOnce(t *testing.T) {
	t.Parallel()
	proxy, direct := proxied(t)
	var judged atomic.Int64
	proxy.Judge(func(fault.Exchange) fault.Fate {
		judged.Add(1)
		return fault.Deliver
	})
	const clients, each = 8, 25
	done := make(chan error, clients)
	for range clients {
		through := connect(t, proxy.URL)
		go func() {
			for n := range each {
				if _, err := through.Exec(t.Context(), insert, n); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		require.NoError(t, <-done)
	}
	require.Equal(t, clients*each, rows(t, direct))
	require.EqualValues(t, clients*each, judged.Load())
}
