package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/stream"
)

// ListEventsInput selects a page of the history, or a stream of it.
type ListEventsInput struct {
	Paging
	Watching

	Namespaces []string `query:"namespace" maxItems:"50" doc:"Only these namespaces, separated by commas. Without it: all in which the caller has the right."`
	Build      string   `query:"build" maxLength:"253" doc:"Only events of this build; needs one namespace."`
	Pipeline   string   `query:"pipeline" maxLength:"253" doc:"Only events of the CdPipelines of this name."`
	Kind       string   `query:"kind" enum:"Task,Decision,Run,Request,Turn,Build" doc:"Only events of this kind."`

	scope view.Scope
}

func (in *ListEventsInput) allow(ctx context.Context, gate gate) (err error) {
	if in.Build != "" && len(in.Namespaces) != 1 {
		return problem.New(http.StatusBadRequest, "?build= without one ?namespace=: a build is of one namespace, name it")
	}
	in.scope, err = gate.scope(ctx, in.verb(), "events", in.Namespaces)
	return err
}

func (in *ListEventsInput) start() (*view.Position, error) { return in.after(in.Cursor) }

func (in *ListEventsInput) sees() stream.Filter {
	scope := in.scope
	return func(event view.Event) bool {
		return scope.Has(event.Namespace) && (in.Build == "" || event.Build == in.Build) &&
			(in.Pipeline == "" || event.Pipeline == in.Pipeline) && (in.Kind == "" || event.Kind == in.Kind)
	}
}

func listEvents(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-events", path: "/api/v1/events", summary: "List or follow the history",
		description: "One event for each transition and decision, the newest first. A page looks at 20,000 events at most: where few of them pass the filter it is short, " +
			"or empty, and `next` goes on. With `?watch=true` the events follow in order, none missed and none twice, from now on, or from the cursor `watch` of a list on. " +
			"Needs `list` on `events` (`watch` for a stream) in all namespaces, or in those that are shown.",
	}, answerEvents)
}

// eventsPage is where a page of the history begins. Top is where the first page began.
type eventsPage struct {
	Before, Top view.Position
}

func answerEvents(ctx context.Context, b *Backend, in *ListEventsInput) (*rest.EventList, error) {
	query := []string{"events", strings.Join(in.Namespaces, ","), in.Build, in.Pipeline, in.Kind}
	var page eventsPage
	if err := decodeCursor(in.Cursor, &page, query...); err != nil {
		return nil, err
	}
	if in.Cursor == "" {
		horizon, err := b.View.Horizon(ctx)
		if err != nil {
			return nil, err
		}
		page = eventsPage{Before: horizon, Top: horizon}
	}
	filter := view.EventFilter{Scope: in.scope, Build: in.Build, Pipeline: in.Pipeline, Kind: in.Kind}
	events, next, err := b.View.EventsBefore(ctx, filter, page.Before, in.Limit)
	if err != nil {
		return nil, err
	}
	list := &rest.EventList{Watch: StreamCursor(page.Top), Items: make([]rest.Event, len(events))}
	for i, event := range events {
		list.Items[i] = event.Event
	}
	if next != nil {
		list.Next = encodeCursor(eventsPage{Before: *next, Top: page.Top}, query...)
	}
	return list, nil
}
