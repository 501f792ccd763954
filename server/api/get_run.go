package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

// maxRunEvents is how many events of a run an answer has.
const maxRunEvents = 1000

// GetRunInput selects a run.
type GetRunInput struct {
	InNamespace
	Watching

	ID     int64  `path:"id" minimum:"1" doc:"Number of the run."`
	Cursor string `query:"cursor" maxLength:"1024" doc:"With ?watch=true: where the stream begins."`
}

func (in *GetRunInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "get", Resource: "runs", Namespace: in.Namespace},
		rights.Need{Verb: in.verb(), Resource: "events", Namespace: in.Namespace})
}

func (in *GetRunInput) start() (*view.Position, error) { return in.after(in.Cursor) }

func (in *GetRunInput) sees() stream.Filter {
	return func(event view.Event) bool { return event.Namespace == in.Namespace && event.Run == in.ID }
}

func getRun(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-run", path: "/api/v1/namespaces/{namespace}/runs/{id}", summary: "Get a run and its history",
		description: "Needs `get` on `runs` and `list` on `events` (`watch` on `events` for a stream).",
	}, func(ctx context.Context, b *Backend, in *GetRunInput) (*rest.RunDetail, error) {
		run, err := b.View.Run(ctx, in.Namespace, in.ID)
		if err != nil {
			return nil, err
		}
		events, err := b.View.EventsOfBuild(ctx, in.Namespace, run.Build, run.ID, view.Position{}, maxRunEvents)
		if err != nil {
			return nil, err
		}
		detail := &rest.RunDetail{Run: run, Namespace: in.Namespace, Events: make([]rest.Event, len(events))}
		for i, event := range events {
			detail.Events[i] = event.Event
		}
		return detail, nil
	})
}
