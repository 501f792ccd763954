// Package store keeps builds, runs and decisions in Postgres, and writes nothing
// else: one method is one statement or one transaction, and every transition
// names the state that it leaves.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Timeouts of the calls, waiting for a connection included. A call that ends at
// one returns an error that says which.
const (
	// ConnectTimeout bounds one attempt to reach the server.
	ConnectTimeout = 5 * time.Second
	// PlanTimeout bounds the transaction that plans one build.
	PlanTimeout = 30 * time.Second
	// ClaimTimeout bounds taking rows from the queue.
	ClaimTimeout = 5 * time.Second
	// WriteTimeout bounds a batch of transitions.
	WriteTimeout = 10 * time.Second
	// ReadTimeout bounds a query for a report or a sweep.
	ReadTimeout = 15 * time.Second
	// MigrateTimeout bounds bringing the tables up to date, waiting for another
	// migrator included.
	MigrateTimeout = 10 * time.Minute
	// PingTimeout bounds the readiness check.
	PingTimeout = 2 * time.Second
)

// Config says which database, and how much of it.
type Config struct {
	// URL is a Postgres connection string. It may hold a password: it is never
	// logged, and never part of an error.
	URL string
	// PasswordFile, where it is set, holds the password, and is read for each new
	// connection.
	PasswordFile string
	// Schema holds the tables; it is created where it does not exist.
	Schema string
	// Namespaces are the only ones whose rows are claimed, followed, looked for and
	// counted; empty means all namespaces. Tasks in other namespaces stay Pending.
	Namespaces []string
	// MaxConns is the most connections that are ever open at once.
	MaxConns int32
	// ApplicationName is what pg_stat_activity shows. Defaults to penstock.
	ApplicationName string
	// ReadOnly makes every transaction one that can't write, whatever its statements say.
	ReadOnly bool
	// OnAcquire, where set, is told how long each call waited for a connection, also
	// one that got none. It must not block.
	OnAcquire func(waited time.Duration)
}

// Store is the tables. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	queries *dbsqlc.Queries
	config  Config
	// namespaces is never nil, which would be NULL.
	namespaces []string
	// cluster is the one whose Workflows this Store knows, and clusterUID tells it from another
	// of that name; both are empty at home.
	cluster, clusterUID string
}

// Open returns a store that connects when it is first used: a database that is
// down is an error of the call that needs it, not of Open.
func Open(ctx context.Context, config Config) (*Store, error) {
	s := &Store{config: config, namespaces: append([]string{}, config.Namespaces...)}
	poolConfig, err := parse(config, func() { go s.reconnect() })
	if err != nil {
		return nil, err
	}
	// It connects to nobody yet, so that no session can have turned read-only before.
	if s.pool, err = pgxpool.NewWithConfig(ctx, poolConfig); err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	s.queries = dbsqlc.New(s.pool)
	return s, nil
}

// In returns the same tables as seen from another cluster: what is claimed, observed, counted,
// stopped and adopted are tasks whose Workflow is, or will be, there. uid is that of the
// cluster; no task whose Workflow may be in another cluster of that name is claimed.
func (s *Store) In(cluster, uid string) *Store {
	there := *s
	there.cluster, there.clusterUID = cluster, uid
	return &there
}

// reconnect has every call that begins from now on use a new connection: those that are
// idle are closed, and those in use when they are given back.
func (s *Store) reconnect() { s.pool.Reset() }

// Close waits for the connections in use and closes all.
func (s *Store) Close() { s.pool.Close() }

// Pool returns the connection pool, for metrics.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping tells whether the database answers, can write and has the tables that this
// Penstock knows. Where it can't write, later calls use new connections.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, PingTimeout)
	defer cancel()
	const query = "SELECT max(version_id), current_setting('transaction_read_only') = 'on' FROM goose_db_version"
	var version int64
	var readOnly bool
	if err := s.pool.QueryRow(ctx, query).Scan(&version, &readOnly); err != nil {
		if pgconn.Timeout(err) {
			s.reconnect() // the others may hang as well
		}
		return fmt.Errorf("ping database: %w", err)
	}
	if readOnly && !s.config.ReadOnly {
		s.reconnect()
		return errReadOnly(nil)
	}
	if version < newestKnown() {
		return &Problem{ProblemMigrating, fmt.Sprintf("the database's schema has version %d, want %d: it is being migrated", version, newestKnown()), ErrOlderSchema}
	}
	return newerSchema(version)
}

// IsInvalid tells whether the database refused the data itself, so that the same
// call can never succeed (SQLSTATE classes 22, data exception, and 23, integrity
// constraint violation).
func IsInvalid(err error) bool {
	var pgError *pgconn.PgError
	return errors.As(err, &pgError) && (strings.HasPrefix(pgError.Code, "22") || strings.HasPrefix(pgError.Code, "23"))
}

// IsTimeout tells whether a call ended since it took too long: at its own timeout, at the
// server's, or waiting for a lock.
func IsTimeout(err error) bool {
	var pgError *pgconn.PgError
	if errors.As(err, &pgError) {
		return pgError.Code == queryCanceled || pgError.Code == lockNotAvailable
	}
	return pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded)
}

// clean makes text storable: Postgres takes neither NUL nor broken UTF-8.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// transaction runs fn in one transaction of its own connection; it is committed
// where fn returns nil.
func (s *Store) transaction(ctx context.Context, fn func(*dbsqlc.Queries) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return fn(s.queries.WithTx(tx)) })
}
