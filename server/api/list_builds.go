package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

// ListBuildsInput selects a page of builds.
type ListBuildsInput struct {
	InNamespace
	Paging
	Watching

	Application string `query:"application" maxLength:"253" doc:"Only builds of the application's CiPipelines that exist."`
	Pipeline    string `query:"pipeline" maxLength:"253" doc:"Only builds of this CiPipeline."`
	Phase       string `query:"phase" enum:"Pending,Running,Succeeded,Failed,Error,Cancelled" doc:"Only builds in this phase."`
}

func (in *ListBuildsInput) allow(ctx context.Context, gate gate) error {
	needs := []rights.Need{{Verb: "list", Resource: "cibuilds", Namespace: in.Namespace}}
	if in.Watch {
		needs = append(needs, rights.Need{Verb: "watch", Resource: "events", Namespace: in.Namespace})
	}
	return gate.require(ctx, needs...)
}

func (in *ListBuildsInput) start() (*view.Position, error) { return in.after(in.Cursor) }

func (in *ListBuildsInput) sees() stream.Filter {
	return func(event view.Event) bool { return event.Namespace == in.Namespace && event.Build != "" }
}

func listBuilds(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-builds", path: "/api/v1/namespaces/{namespace}/builds", summary: "List builds",
		description: "Builds with their artifacts and counts of their runs, the newest first; deleted ones stay in the list. " +
			"A stream has what happens to any build of the namespace. Needs `list` on `cibuilds`, and `watch` on `events` for a stream.",
	}, func(ctx context.Context, b *Backend, in *ListBuildsInput) (*rest.BuildList, error) {
		query := []string{"builds", in.Namespace, in.Application, in.Pipeline, in.Phase}
		filter := view.BuildFilter{
			Namespace: in.Namespace, Application: in.Application, Pipeline: in.Pipeline, Phase: in.Phase, Limit: in.Limit + 1,
		}
		if err := decodeCursor(in.Cursor, &filter.Before, query...); err != nil {
			return nil, err
		}
		builds, err := b.View.Builds(ctx, filter)
		if err != nil {
			return nil, err
		}
		list := &rest.BuildList{Items: []rest.Build{}}
		for i, build := range builds {
			if i == in.Limit {
				list.Next = encodeCursor(builds[i-1].Seq, query...)
				break
			}
			list.Items = append(list.Items, build.Build)
		}
		return list, nil
	})
}
