package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// server is the identifier of the database server, which a copy of it has as well, and no
// other: transaction ids mean something there alone. It is empty where the server does not tell
// everybody; then transaction ids that are none yet show that a dump was restored. The statement
// stands here since sqlc does not know the server's functions.
func (s *Store) server(ctx context.Context) (identifier string, err error) {
	err = s.pool.QueryRow(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&identifier)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && slices.Contains([]string{insufficientPrivilege, "42883", "0A000"}, refused.Code) {
		return "", nil
	}
	return identifier, wrap(err, "ask for the database's identifier")
}

// Horizon is a moment in the order of events.
type Horizon struct {
	server string
	end    dbsqlc.EventsEndRow
}

// SkipEvents leaves out every event that was visible at an earlier moment, and returns that of
// now; the zero moment leaves out none.
func (s *Store) SkipEvents(ctx context.Context, before Horizon) (now Horizon, err error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if now.server, err = s.server(ctx); err != nil {
		return Horizon{}, err
	}
	if now.end, err = s.queries.EventsEnd(ctx); err != nil {
		return Horizon{}, fmt.Errorf("look for the end of the events: %w", err)
	}
	if before == (Horizon{}) || before.server != now.server {
		return now, nil
	}
	err = s.queries.SkipEvents(ctx, dbsqlc.SkipEventsParams{EndXid: before.end.Xid, EndID: before.end.ID, Server: before.server, Watched: s.watched()})
	if err != nil {
		return Horizon{}, fmt.Errorf("leave events out: %w", err)
	}
	return now, nil
}

// lockCursor makes the cursor at its first use. Where others of the same namespaces have one,
// from when other namespaces were watched, it goes on where the furthest of them was.
func (s *Store) lockCursor(ctx context.Context, queries *dbsqlc.Queries, server string) (dbsqlc.LockCursorsRow, error) {
	for range 2 { // the second time it is there
		rows, err := queries.LockCursors(ctx)
		if err != nil {
			return dbsqlc.LockCursorsRow{}, err
		}
		rows = slices.DeleteFunc(rows, func(row dbsqlc.LockCursorsRow) bool { return !overlap(row.Watched, s.watched()) })
		if len(rows) == 0 {
			if err := queries.AddCursor(ctx, dbsqlc.AddCursorParams{Watched: s.watched(), Server: server}); err != nil {
				return dbsqlc.LockCursorsRow{}, err
			}
			continue
		}
		return rows[0], s.takeCursor(ctx, queries, rows)
	}
	return dbsqlc.LockCursorsRow{}, errors.New("the cursor is gone")
}

// takeCursor makes the first the only one of these namespaces.
func (s *Store) takeCursor(ctx context.Context, queries *dbsqlc.Queries, rows []dbsqlc.LockCursorsRow) error {
	var others []string
	for _, row := range rows[1:] {
		others = append(others, row.Watched)
	}
	if len(others) > 0 {
		if err := queries.DeleteCursors(ctx, others); err != nil {
			return err
		}
	}
	if rows[0].Watched == s.watched() {
		return nil
	}
	return queries.TakeCursor(ctx, dbsqlc.TakeCursorParams{Watched: s.watched(), WatchedBefore: rows[0].Watched})
}

// overlap tells whether two lists of namespaces have one in common; an empty one is all.
func overlap(a, b string) bool {
	if a == "" || b == "" {
		return true
	}
	others := strings.Split(b, ",")
	return slices.ContainsFunc(strings.Split(a, ","), func(namespace string) bool { return slices.Contains(others, namespace) })
}

// watched names the cursor of those who watch the same namespaces.
func (s *Store) watched() string {
	return strings.Join(slices.Sorted(slices.Values(s.namespaces)), ",")
}

func (s *Store) cursorOf(row dbsqlc.LockCursorsRow) dbsqlc.MoveCursorParams {
	return dbsqlc.MoveCursorParams{Watched: s.watched(), Server: row.Server, Xid: row.Xid, ID: row.ID, FloorID: row.FloorID}
}

// isMoved tells whether the tables have come from another server.
func isMoved(cursor dbsqlc.LockCursorsRow, server string) bool {
	return cursor.Server != server || cursor.IsAhead
}

// untold reads the events after the cursor, and where it is to be moved to.
func (s *Store) untold(ctx context.Context, queries *dbsqlc.Queries, cursor dbsqlc.LockCursorsRow, server string, most int) ([]dbsqlc.UntoldEventsRow, dbsqlc.MoveCursorParams, error) {
	end := s.cursorOf(cursor)
	if isMoved(cursor, server) {
		return s.moved(ctx, queries, cursor, server, most)
	}
	rows, err := queries.UntoldEvents(ctx, dbsqlc.UntoldEventsParams{AfterXid: cursor.Xid, AfterID: cursor.ID, FloorID: cursor.FloorID, Most: int32(most)}) //nolint:gosec // a batch size
	if err != nil {
		return nil, end, err
	}
	if len(rows) > 0 {
		end.Xid, end.ID = rows[len(rows)-1].Xid, rows[len(rows)-1].ID
	}
	return rows, end, nil
}

// moved reads what a dump held and was not told, in the order of ids, and when that is done
// lets the cursor follow the transaction ids of the server that it was restored into.
func (s *Store) moved(ctx context.Context, queries *dbsqlc.Queries, cursor dbsqlc.LockCursorsRow, server string, most int) ([]dbsqlc.UntoldEventsRow, dbsqlc.MoveCursorParams, error) {
	end := s.cursorOf(cursor)
	last, err := queries.EventsEnd(ctx) // before what is read, so that what comes meanwhile is read later
	if err != nil {
		return nil, end, err
	}
	found, err := queries.MovedEvents(ctx, dbsqlc.MovedEventsParams{AfterID: cursor.ID, Most: int32(most)}) //nolint:gosec // a batch size
	if err != nil {
		return nil, end, err
	}
	rows := make([]dbsqlc.UntoldEventsRow, len(found))
	for i, row := range found {
		rows[i] = dbsqlc.UntoldEventsRow(row)
		end.ID = row.ID
	}
	if len(rows) < most {
		end = dbsqlc.MoveCursorParams{Watched: s.watched(), Server: server, Xid: last.Xid, ID: end.ID, FloorID: end.ID}
	}
	return rows, end, nil
}

// nothingLater is a place behind all events.
var nothingLater = dbsqlc.BuildsToTellParams{AfterXid: strconv.Itoa(math.MaxInt64)}

// comesAfter is the place behind what is read, for what is read later; of a dump in another
// server nothing is known to come.
func comesAfter(end dbsqlc.MoveCursorParams, isMoved bool) dbsqlc.BuildsToTellParams {
	if isMoved {
		return nothingLater
	}
	return dbsqlc.BuildsToTellParams{AfterXid: end.Xid, AfterID: end.ID, FloorID: end.FloorID}
}
