package view

import (
	"context"
	"fmt"
	"math"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// ClusterHistory returns up to limit changes of the clusters that have had this name, newest
// first, that are older than the one with the id before; 0 is no bound.
func (v *View) ClusterHistory(ctx context.Context, cluster string, before int64, limit int) ([]rest.ClusterChange, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if before == 0 {
		before = math.MaxInt64
	}
	rows, err := v.queries.ClusterEvents(ctx, dbsqlc.ClusterEventsParams{Cluster: cluster, BeforeID: before, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("read the history of cluster %s: %w", cluster, err)
	}
	changes := make([]rest.ClusterChange, len(rows))
	for i, row := range rows {
		changes[i] = rest.ClusterChange{
			ID: row.ID, UID: row.ClusterUid, Phase: row.Phase, Reason: row.Reason, Message: row.Message, Version: row.Version, At: when(row.OccurredAt),
		}
	}
	return changes, nil
}
