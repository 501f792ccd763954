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
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// lockInterval and lockAttempts say how often, in seconds, and how many times
	// a migrator asks for the lock that another one holds: five minutes.
	lockInterval, lockAttempts = 1, 300
	// uniqueViolation is the SQLSTATE of a row that is there already.
	uniqueViolation = "23505"
)

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

// Migrator moves the schema. It holds one connection and an advisory lock while
// it works, so that any number may start at once.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
}

// NewMigrator connects, and creates the schema where it does not exist.
func NewMigrator(ctx context.Context, config Config) (*Migrator, error) {
	poolConfig, err := parse(config)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*poolConfig.ConnConfig)
	db.SetMaxOpenConns(1)
	migrator, err := newMigrator(ctx, db, config.Schema)
	if err != nil {
		_ = db.Close()
		return nil, redact(err, config.URL)
	}
	return migrator, nil
}

func newMigrator(ctx context.Context, db *sql.DB, schema string) (*Migrator, error) {
	if err := createSchema(ctx, db, schema); err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockInterval, lockAttempts))
	if err != nil {
		return nil, fmt.Errorf("create migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	return &Migrator{db: db, provider: provider}, nil
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

// Migrate applies every step that is missing, on one of the store's connections.
func (s *Store) Migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, MigrateTimeout)
	defer cancel()
	db := stdlib.OpenDBFromPool(s.pool)
	db.SetMaxOpenConns(1)
	defer func() { _ = db.Close() }()
	migrator, err := newMigrator(ctx, db, s.config.Schema)
	if err != nil {
		return redact(err, s.config.URL)
	}
	_, err = migrator.Up(ctx)
	return err
}

// Migrate applies every step that is missing, on a connection of its own.
func Migrate(ctx context.Context, config Config) error {
	migrator, err := NewMigrator(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = migrator.Close() }()
	_, err = migrator.Up(ctx)
	return err
}
