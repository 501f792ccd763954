package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/rights"
)

// ClusterHistoryInput selects a page of the history of a TargetCluster.
type ClusterHistoryInput struct {
	Paging

	Name string `path:"name" maxLength:"253" doc:"Name of the TargetCluster."`
}

func (in *ClusterHistoryInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "get", Resource: "targetclusters", Name: in.Name})
}

func getClusterHistory(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-cluster-history", path: "/api/v1/clusters/{name}/history", summary: "Get how the health of a TargetCluster has changed",
		description: "Each change of its health, the newest first, as long as HISTORY_RETENTION keeps it, also of a cluster that is gone. Needs `get` on `targetclusters`.",
	}, func(ctx context.Context, b *Backend, in *ClusterHistoryInput) (*rest.ClusterHistory, error) {
		query := []string{"cluster-history", in.Name}
		var before int64
		if err := decodeCursor(in.Cursor, &before, query...); err != nil {
			return nil, err
		}
		changes, err := b.View.ClusterHistory(ctx, in.Name, before, in.Limit+1)
		if err != nil {
			return nil, err
		}
		history := &rest.ClusterHistory{Items: changes}
		if len(changes) > in.Limit {
			history.Items = changes[:in.Limit]
			history.Next = encodeCursor(changes[in.Limit-1].ID, query...)
		}
		return history, nil
	})
}
