package view

import (
	"context"
	"fmt"
	"strconv"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// scan is how many rows of the history one page looks at.
const scan = 20000

// Position is a place in the order of events: that of their transactions, and within one
// that of the rows.
type Position struct {
	XID uint64
	ID  int64
}

func (p Position) xid() string { return strconv.FormatUint(p.XID, 10) }

// Event is an event and its position.
type Event struct {
	rest.Event

	Position Position
}

// EventFilter selects events. The zero value of a field other than Scope selects all.
type EventFilter struct {
	Scope Scope
	// Build needs a Scope of one namespace.
	Build    string
	Pipeline string
	Kind     string
}

// Horizon is behind every event that is visible now: no earlier one will appear.
func (v *View) Horizon(ctx context.Context) (Position, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	text, err := v.queries.EventHorizon(ctx)
	if err != nil {
		return Position{}, fmt.Errorf("look for the end of the events: %w", err)
	}
	xid, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return Position{}, fmt.Errorf("look for the end of the events: %w", err)
	}
	return Position{XID: xid}, nil
}

// EventsBefore returns up to limit events before a position, the newest first, and where
// the next page begins: nil at the end. A page that looked at its bound of rows may be
// short, or empty, before the end.
func (v *View) EventsBefore(ctx context.Context, filter EventFilter, before Position, limit int) ([]Event, *Position, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if filter.Build != "" {
		return v.eventsOfBuild(ctx, filter, before, limit)
	}
	rows, err := v.queries.ViewEventsBefore(ctx, dbsqlc.ViewEventsBeforeParams{
		BeforeXid: before.xid(), BeforeID: before.ID, Scan: scan, AllNamespaces: filter.Scope.All, Namespaces: filter.Scope.names(),
		Pipeline: filter.Pipeline, Kind: filter.Kind, Most: most(limit + 1),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read events: %w", err)
	}
	events := make([]Event, len(rows))
	for i, row := range rows {
		events[i] = event(row)
	}
	if len(events) > limit {
		return events[:limit], &events[limit-1].Position, nil
	}
	end, err := v.queries.ViewEventScanEnd(ctx, dbsqlc.ViewEventScanEndParams{BeforeXid: before.xid(), BeforeID: before.ID, Skip: scan - 1})
	if err != nil {
		return nil, nil, fmt.Errorf("read events: %w", err)
	}
	if len(end) == 0 {
		return events, nil, nil
	}
	return events, &Position{XID: parseXID(end[0].XidText), ID: end[0].ID}, nil
}

func (v *View) eventsOfBuild(ctx context.Context, filter EventFilter, before Position, limit int) ([]Event, *Position, error) {
	if filter.Scope.All || len(filter.Scope.Namespaces) != 1 {
		return nil, nil, fmt.Errorf("read events of build %s: a build is of one namespace", filter.Build)
	}
	rows, err := v.queries.ViewEventsOfBuildBefore(ctx, dbsqlc.ViewEventsOfBuildBeforeParams{
		Namespace: filter.Scope.Namespaces[0], BuildName: filter.Build, BeforeXid: before.xid(), BeforeID: before.ID,
		Pipeline: filter.Pipeline, Kind: filter.Kind, Most: most(limit + 1),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read events of build %s: %w", filter.Build, err)
	}
	events := make([]Event, len(rows))
	for i, row := range rows {
		events[i] = event(dbsqlc.ViewEventsBeforeRow(row))
	}
	if len(events) > limit {
		return events[:limit], &events[limit-1].Position, nil
	}
	return events, nil, nil
}

// EventsOfBuild returns up to limit events of a build in their order, behind a position;
// where run is not 0, those of that run alone.
func (v *View) EventsOfBuild(ctx context.Context, namespace, build string, run int64, after Position, limit int) ([]Event, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewEventsOfBuildAfter(ctx, dbsqlc.ViewEventsOfBuildAfterParams{
		Namespace: namespace, BuildName: build, RunID: run, AfterXid: after.xid(), AfterID: after.ID, Most: most(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("read events of build %s: %w", build, err)
	}
	events := make([]Event, len(rows))
	for i, row := range rows {
		events[i] = event(dbsqlc.ViewEventsBeforeRow(row))
	}
	return events, nil
}

// EventsAfter returns up to limit events after a position, of all namespaces, in an order
// in which none is missed: one appears once every transaction that may still write an
// earlier one has ended.
func (v *View) EventsAfter(ctx context.Context, after Position, limit int) ([]Event, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewEventsAfter(ctx, dbsqlc.ViewEventsAfterParams{AfterXid: after.xid(), AfterID: after.ID, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("follow events: %w", err)
	}
	events := make([]Event, len(rows))
	for i, row := range rows {
		events[i] = event(dbsqlc.ViewEventsBeforeRow(row))
	}
	return events, nil
}

func event(row dbsqlc.ViewEventsBeforeRow) Event {
	return Event{Position: Position{XID: parseXID(row.XidText), ID: row.ID}, Event: rest.Event{
		ID: row.ID, At: when(row.At), Kind: row.Kind, Namespace: row.Namespace, Build: row.BuildName, Pipeline: row.Pipeline,
		Run: row.RunID, Task: row.TaskID, Stage: row.Stage, State: row.State, Reason: row.Reason, Message: row.Message, Actor: row.Actor, ActorReason: row.ActorReason,
	}}
}

// parseXID reads what Postgres wrote: 64 bits, always.
func parseXID(text string) uint64 {
	xid, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("view: Postgres wrote xid8 %q", text))
	}
	return xid
}
