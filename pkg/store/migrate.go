package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// uniqueViolation is the SQLSTATE of a row that is there already.
const uniqueViolation = "23505"

// Migration is one step of the schema.
type Migration struct {
	// Version orders the steps.
	Version int64
	// Source is the file that holds it.
	Source string
	// Applied tells whether the database has it.
	Applied bool
	// AppliedAt is when, by the database's clock; zero where it has not.
	AppliedAt time.Time
}

// migratorConns is how many connections a Migrator holds.
const migratorConns = 2

// Migrator moves the schema. It holds one connection, and while it works another one for
// the lock that keeps others apart, so that any number may start at once.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
}

// NewMigrator connects, and creates the schema where it does not exist.
func NewMigrator(ctx context.Context, config Config) (*Migrator, error) {
	poolConfig, err := parse(config, func() {})
	if err != nil {
		return nil, err
	}
	connect := poolConfig.ConnConfig
	// An index of a large table takes its time, and what is asked once needs no
	// prepared statement, which a pooler may not carry.
	for _, timeout := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		connect.RuntimeParams[timeout] = "0"
	}
	connect.DefaultQueryExecMode = pgx.QueryExecModeExec
	db := stdlib.OpenDB(*connect, stdlib.OptionBeforeConnect(config.readPassword))
	db.SetMaxOpenConns(1)
	lock := &migrationLock{connect: func(ctx context.Context) (*pgx.Conn, error) {
		own := connect.Copy()
		// In the extended protocol a query leaves its portal, and with it its snapshot, behind.
		own.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
		if err := config.readPassword(ctx, own); err != nil {
			return nil, err
		}
		return pgx.ConnectConfig(ctx, own)
	}}
	migrator, err := newMigrator(ctx, db, config.Schema, lock)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return migrator, nil
}

func newMigrator(ctx context.Context, db *sql.DB, schema string, lock lock.SessionLocker) (*Migrator, error) {
	if err := createSchema(ctx, db, schema); err != nil {
		return nil, err
	}
	if err := requireSchema(ctx, db, schema); err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(lock))
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	return &Migrator{db: db, provider: provider}, nil
}

// requireSchema returns an error where new tables would not be in the schema.
func requireSchema(ctx context.Context, db *sql.DB, schema string) error {
	var current sql.NullString
	if err := db.QueryRowContext(ctx, "SELECT current_schema()").Scan(&current); err != nil {
		return fmt.Errorf("look for the session's schema: %w", err)
	}
	if current.String != schema {
		return errOtherSchema(schema, current.String)
	}
	return nil
}

// createSchema looks first, so that a role without the right to create schemas
// can use one that is there.
func createSchema(ctx context.Context, db *sql.DB, schema string) error {
	var exists bool
	const query = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"
	if err := db.QueryRowContext(ctx, query, schema).Scan(&exists); err != nil {
		return fmt.Errorf("look for schema %s: %w", schema, err)
	}
	if exists {
		return nil
	}
	statement := "CREATE SCHEMA IF NOT EXISTS " + pgx.Identifier{schema}.Sanitize() //nolint:gosec // Sanitize quotes it; a name can be no parameter
	_, err := db.ExecContext(ctx, statement)
	var pgError *pgconn.PgError
	if errors.As(err, &pgError) && pgError.Code == uniqueViolation {
		return nil // another migrator was faster, which IF NOT EXISTS does not see
	}
	if err != nil {
		return fmt.Errorf("create schema %s: %w", schema, err)
	}
	return nil
}

// ErrNewerSchema means that the tables were made by a newer Penstock. This one must not
// touch them.
var ErrNewerSchema = errors.New("the database's schema is of a newer Penstock")

// ErrOlderSchema means that the tables are those of an older Penstock. The controller
// brings them up to date.
var ErrOlderSchema = errors.New("the database's schema is of an older Penstock")

// newerSchema returns an error where the schema's version is above the newest that this
// Penstock knows.
func newerSchema(version int64) error {
	known := newestKnown()
	if version <= known {
		return nil
	}
	return fmt.Errorf("%w: it has version %d, and this one knows %d: run the newer Penstock, or restore the backup that was made before the upgrade", ErrNewerSchema, version, known)
}

// newestKnown is the version of the last migration file.
func newestKnown() int64 {
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil || len(files) == 0 {
		panic("store: no migrations are embedded")
	}
	version, err := goose.NumericComponent(files[len(files)-1].Name())
	if err != nil {
		panic(fmt.Sprintf("store: migration %s has no version: %v", files[len(files)-1].Name(), err))
	}
	return version
}

// Up applies every step that is missing and returns their number. It returns
// ErrNewerSchema, and changes nothing, where a newer Penstock has made the tables.
func (m *Migrator) Up(ctx context.Context) (int, error) {
	version, err := m.provider.GetDBVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	if err := newerSchema(version); err != nil {
		return 0, err
	}
	results, err := m.provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate up: %w", err)
	}
	return len(results), nil
}

// Down takes the last step back. Its tables' rows are lost.
func (m *Migrator) Down(ctx context.Context) error {
	if _, err := m.provider.Down(ctx); err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	return nil
}

// Status lists every step, in order.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	statuses, err := m.provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read migration status: %w", err)
	}
	list := make([]Migration, len(statuses))
	for i, status := range statuses {
		list[i] = Migration{
			Version: status.Source.Version, Source: status.Source.Path,
			Applied: status.State == goose.StateApplied, AppliedAt: status.AppliedAt,
		}
	}
	return list, nil
}

// Close closes the connection.
func (m *Migrator) Close() error { return m.db.Close() }

// Migrate applies every step that is missing. Meanwhile the store has so many connections
// less that the bound of all together holds; where nothing is missing it needs one.
func (s *Store) Migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, MigrateTimeout)
	defer cancel()
	err := s.Ping(ctx)
	if problem := ProblemOf(err); err == nil || problem == nil || problem.Class != ProblemMigrating {
		return err
	}
	restore, err := s.spareConnections(ctx)
	defer restore()
	if err != nil {
		return err
	}
	return Migrate(ctx, s.config)
}

// spareConnections closes as many connections as a Migrator needs, and keeps their places
// until restore is called, which must be in any case.
func (s *Store) spareConnections(ctx context.Context) (restore func(), err error) {
	var spared []*pgxpool.Conn
	restore = func() {
		for _, connection := range spared {
			connection.Release()
		}
	}
	for range min(migratorConns, s.config.MaxConns) {
		connection, err := s.pool.Acquire(ctx)
		if err != nil {
			return restore, fmt.Errorf("make room for the migration: %w", err)
		}
		spared = append(spared, connection)
		if err := connection.Conn().Close(ctx); err != nil {
			return restore, fmt.Errorf("make room for the migration: %w", err)
		}
	}
	return restore, nil
}

// Migrate applies every step that is missing, on connections of its own.
func Migrate(ctx context.Context, config Config) error {
	migrator, err := NewMigrator(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = migrator.Close() }()
	_, err = migrator.Up(ctx)
	return err
}
