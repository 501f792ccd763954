package store

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// ClaimEnding takes up to most tasks of the lane that are to be ended or held, and that were
// claimed before: their submitter looks whether they have a Workflow, and makes none. It is for
// while nothing else may be claimed.
func (s *Store) ClaimEnding(ctx context.Context, lane Lane, worker string, most int, lease time.Duration) ([]Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	rows, err := s.queries.ClaimEnding(ctx, dbsqlc.ClaimEndingParams{
		Kind: string(lane.Kind), Cluster: lane.Cluster, ClusterUid: s.clusterUID, Namespaces: s.namespaces, Most: bounded(most), Worker: worker, Lease: interval(lease),
	})
	if err != nil {
		return nil, fmt.Errorf("claim tasks that are to be ended: %w", err)
	}
	claims := make([]Claim, len(rows))
	for i, row := range rows {
		if claims[i], err = claimOf(dbsqlc.ClaimTasksRow(row)); err != nil {
			return nil, err
		}
		claims[i].Ending = true
	}
	return claims, s.addArtifacts(ctx, claims)
}
