package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Cursor is a place in the order of events. Events are read in the order of their
// transactions, and only once every transaction that may still write an earlier one has
// ended: none is missed.
type Cursor struct {
	xid string
	id  int64
}

// Event is a transition, or a decision, and the objects it belongs to.
type Event struct {
	Namespace string
	BuildName string
	Pipeline  string
}

// EventsFromNow returns the cursor behind every event that is visible now.
func (s *Store) EventsFromNow(ctx context.Context) (Cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	xid, err := s.queries.EventHorizon(ctx)
	if err != nil {
		return Cursor{}, fmt.Errorf("look for the end of the events: %w", err)
	}
	return Cursor{xid: xid}, nil
}

// Events returns up to most events after the cursor, and the cursor after them. Those of
// namespaces that this store is not about are empty.
func (s *Store) Events(ctx context.Context, after Cursor, most int) ([]Event, Cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.EventsAfter(ctx, dbsqlc.EventsAfterParams{
		AfterXid: after.xid, AfterID: after.id, Most: int32(most), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, after, fmt.Errorf("read events: %w", err)
	}
	events := make([]Event, len(rows))
	for i, row := range rows {
		if len(s.namespaces) == 0 || slices.Contains(s.namespaces, row.Namespace) {
			events[i] = Event{Namespace: row.Namespace, BuildName: row.BuildName, Pipeline: row.Pipeline}
		}
		after = Cursor{xid: row.Xid, id: row.ID}
	}
	return events, after, nil
}

// EventDelay is for how long events wait to be told, and what holds them back.
type EventDelay struct {
	// Age is that of the oldest event that waits, by the database's clock.
	Age time.Duration
	// PID is the session that holds the oldest transaction on the server, 0 for none;
	// Prepared is the name of a prepared transaction that does, empty for none. XID is the
	// transaction's.
	PID           int32
	Prepared, XID string
	// Role, Database and Application are whose it is, as far as Penstock's role may see.
	Role, Database, Application string
}

// eventHolder finds the oldest transaction that has an xid, of a session or prepared. It
// stands here since sqlc does not know the server's views.
const eventHolder = `
SELECT s.pid, '' AS prepared, s.backend_xid::text, COALESCE(s.usename, '')::text, COALESCE(s.datname, '')::text, COALESCE(s.application_name, ''), age(s.backend_xid) AS old
FROM pg_stat_activity s WHERE s.backend_xid IS NOT NULL AND s.pid <> pg_backend_pid()
UNION ALL
SELECT 0, p.gid, p.transaction::text, p.owner::text, p.database::text, '', age(p.transaction) FROM pg_prepared_xacts p
ORDER BY old DESC LIMIT 1`

// EventDelay tells for how long events wait, and for which transaction.
func (s *Store) EventDelay(ctx context.Context) (EventDelay, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	seconds, err := s.queries.EventDelay(ctx)
	if err != nil {
		return EventDelay{}, fmt.Errorf("look for how long events wait: %w", err)
	}
	delay := EventDelay{Age: time.Duration(seconds * float64(time.Second))}
	if delay.Age == 0 {
		return delay, nil
	}
	var old int64
	err = s.pool.QueryRow(ctx, eventHolder).Scan(&delay.PID, &delay.Prepared, &delay.XID, &delay.Role, &delay.Database, &delay.Application, &old)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) { // it may have ended meanwhile
		return EventDelay{}, fmt.Errorf("look for what holds events back: %w", err)
	}
	return delay, nil
}
