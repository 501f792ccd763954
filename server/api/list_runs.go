package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

// ListRunsInput selects a page of the runs of a pipeline.
type ListRunsInput struct {
	InNamespace
	Paging
	Watching

	Name string `path:"name" maxLength:"253" doc:"Name of the CdPipeline."`
}

func (in *ListRunsInput) allow(ctx context.Context, gate gate) error {
	needs := []rights.Need{{Verb: "list", Resource: "runs", Namespace: in.Namespace}}
	if in.Watch {
		needs = append(needs, rights.Need{Verb: "watch", Resource: "events", Namespace: in.Namespace})
	}
	return gate.require(ctx, needs...)
}

func (in *ListRunsInput) start() (*view.Position, error) { return in.after(in.Cursor) }

func (in *ListRunsInput) sees() stream.Filter {
	return func(event view.Event) bool { return event.Namespace == in.Namespace && event.Pipeline == in.Name }
}

func listRuns(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-runs", path: "/api/v1/namespaces/{namespace}/pipelines/{name}/runs", summary: "List the runs of a CdPipeline",
		description: "Runs with all their stages, the newest first. A stream has what happens in the pipeline. Needs `list` on `runs`, and `watch` on `events` for a stream.",
	}, func(ctx context.Context, b *Backend, in *ListRunsInput) (*rest.RunList, error) {
		query, before := []string{"runs", in.Namespace, in.Name}, int64(0)
		if err := decodeCursor(in.Cursor, &before, query...); err != nil {
			return nil, err
		}
		runs, err := b.View.RunsOfPipeline(ctx, in.Namespace, in.Name, before, in.Limit+1)
		if err != nil {
			return nil, err
		}
		list := &rest.RunList{Items: runs}
		if len(runs) > in.Limit {
			list.Items = runs[:in.Limit]
			list.Next = encodeCursor(runs[in.Limit-1].ID, query...)
		}
		return list, nil
	})
}
