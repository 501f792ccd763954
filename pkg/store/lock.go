package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/lock"

	"github.com/penstock-cd/penstock/pkg/pause"
)

const (
	// lockInterval is how often a migrator asks for the lock that another one holds, and
	// lockPatience how long.
	lockInterval, lockPatience = time.Second, 5 * time.Minute
	// unlockTimeout bounds giving it back; the server does so too once the session ends.
	unlockTimeout = 5 * time.Second
)

// migrationLock keeps migrators apart: an advisory lock that is held by a transaction on a
// connection of its own. A lock of a session would be left behind by a pooler that
// shares sessions. It is goose's number, so that older versions of Penstock heed it. The
// transaction takes no snapshot between its statements, so that CREATE INDEX
// CONCURRENTLY does not wait for it.
type migrationLock struct {
	connect func(context.Context) (*pgx.Conn, error)
	held    *pgx.Conn
}

var _ lock.SessionLocker = (*migrationLock)(nil)

// SessionLock waits for the lock.
func (l *migrationLock) SessionLock(ctx context.Context, _ *sql.Conn) error {
	connection, err := l.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect for the migration lock: %w", err)
	}
	until := time.Now().Add(lockPatience)
	for {
		locked, err := tryLock(ctx, connection)
		if locked {
			l.held = connection
			return nil
		}
		if err == nil && time.Now().After(until) {
			err = errors.New("another migrator holds it: wait for it, or end it")
		}
		if err == nil && !pause.For(ctx, lockInterval) {
			err = ctx.Err()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("take the migration lock: %w", err), connection.Close(context.WithoutCancel(ctx)))
		}
	}
}

// tryLock leaves a transaction open where it has got the lock.
func tryLock(ctx context.Context, connection *pgx.Conn) (locked bool, err error) {
	// Whatever the server's defaults are: another level would keep its snapshot.
	transaction, err := connection.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return false, err
	}
	if _, err = transaction.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
		return false, err
	}
	err = transaction.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", lock.DefaultLockID).Scan(&locked)
	if locked || err != nil {
		return locked, err
	}
	return false, transaction.Rollback(ctx)
}

// SessionUnlock gives the lock back.
func (l *migrationLock) SessionUnlock(ctx context.Context, _ *sql.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	_, err := l.held.Exec(ctx, "ROLLBACK")
	return errors.Join(err, l.held.Close(ctx))
}
