package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/rights"
)

// ListApplicationsInput selects a page of the applications of a namespace.
type ListApplicationsInput struct {
	InNamespace
	Paging
}

func (in *ListApplicationsInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "list", Resource: "cdpipelines", Namespace: in.Namespace},
		rights.Need{Verb: "list", Resource: "cipipelines", Namespace: in.Namespace})
}

func listApplications(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-applications", path: "/api/v1/namespaces/{namespace}/applications", summary: "List applications",
		description: "The applications that have a CiPipeline or a CdPipeline, by name. Needs `list` on `cipipelines` and `cdpipelines`.",
	}, func(ctx context.Context, b *Backend, in *ListApplicationsInput) (*rest.ApplicationList, error) {
		query, after := []string{"applications", in.Namespace}, ""
		if err := decodeCursor(in.Cursor, &after, query...); err != nil {
			return nil, err
		}
		items, err := b.View.Applications(ctx, in.Namespace, after, in.Limit+1)
		if err != nil {
			return nil, err
		}
		list := &rest.ApplicationList{Items: items}
		if len(items) > in.Limit {
			list.Items = items[:in.Limit]
			list.Next = encodeCursor(items[in.Limit-1].Name, query...)
		}
		return list, nil
	})
}
