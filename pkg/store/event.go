package store

import (
	"context"
	"fmt"
	"slices"

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
