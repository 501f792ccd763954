// Package store keeps builds, runs and decisions in Postgres, and writes nothing
// else: one method is one statement or one transaction, and every transition
// names the state that it leaves.
package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	// Schema holds the tables; it is created where it does not exist.
	Schema string
	// Namespaces are the only ones whose rows are claimed, followed, looked for and
	// counted; none means all. The rows of others wait.
	Namespaces []string
	// MaxConns is the most connections that are ever open at once.
	MaxConns int32
	// ApplicationName is what pg_stat_activity shows. Defaults to penstock.
	ApplicationName string
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
}

// Open returns a store that connects when it is first used: a database that is
// down is an error of the call that needs it, not of Open.
func Open(ctx context.Context, config Config) (*Store, error) {
	poolConfig, err := parse(config)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", redact(err, config.URL))
	}
	return &Store{pool: pool, queries: dbsqlc.New(pool), config: config, namespaces: append([]string{}, config.Namespaces...)}, nil
}

func parse(config Config) (*pgxpool.Config, error) {
	poolConfig, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		// What pgx says of a URL quotes it, so that nothing of it is passed on.
		return nil, errors.New("DATABASE_URL is not a Postgres connection string; want postgres://user:password@host:5432/database")
	}
	poolConfig.MaxConns = config.MaxConns
	poolConfig.ConnConfig.ConnectTimeout = ConnectTimeout
	params := poolConfig.ConnConfig.RuntimeParams
	params["search_path"] = pgx.Identifier{config.Schema}.Sanitize()
	params["application_name"] = config.ApplicationName
	if config.ApplicationName == "" {
		params["application_name"] = "penstock"
	}
	if config.OnAcquire != nil {
		poolConfig.ConnConfig.Tracer = acquireTimer{told: config.OnAcquire}
	}
	return poolConfig, nil
}

// Close waits for the connections in use and closes all.
func (s *Store) Close() { s.pool.Close() }

// Pool returns the connection pool, for metrics.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping tells whether the database answers and has the tables that this Penstock knows.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, PingTimeout)
	defer cancel()
	var version int64
	if err := s.pool.QueryRow(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	if version < newestKnown() {
		return fmt.Errorf("the database's schema has version %d, want %d: it is being migrated", version, newestKnown())
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

// clean makes text storable: Postgres takes neither NUL nor broken UTF-8.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// redact takes the password out of an error's text.
func redact(err error, rawURL string) error {
	parsed, parseErr := url.Parse(rawURL)
	if parseErr != nil || parsed.User == nil {
		return err
	}
	password, ok := parsed.User.Password()
	if !ok || password == "" || !strings.Contains(err.Error(), password) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), password, "xxxxx"))
}

// transaction runs fn in one transaction of its own connection; it is committed
// where fn returns nil.
func (s *Store) transaction(ctx context.Context, fn func(*dbsqlc.Queries) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return fn(s.queries.WithTx(tx)) })
}
