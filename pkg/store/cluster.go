package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// ClusterEvent is what the health of a TargetCluster was from a moment on.
type ClusterEvent struct {
	// ID is set where it is read.
	ID                                            int64
	UID, Cluster, Phase, Reason, Message, Version string
	At                                            time.Time
}

// RecordClusterEvents keeps changes, in the order given. One that does not change phase,
// reason or version is left out, so that it may be called again after an error.
func (s *Store) RecordClusterEvents(ctx context.Context, events []ClusterEvent) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var params dbsqlc.InsertClusterEventsParams
	for place, event := range events {
		params.Places = append(params.Places, int32(place))
		params.ClusterUids = append(params.ClusterUids, event.UID)
		params.Clusters = append(params.Clusters, event.Cluster)
		params.Phases = append(params.Phases, event.Phase)
		params.Reasons = append(params.Reasons, event.Reason)
		params.Messages = append(params.Messages, clean(event.Message))
		params.Versions = append(params.Versions, clean(event.Version))
		params.OccurredAts = append(params.OccurredAts, timestamp(event.At))
	}
	if err := s.queries.InsertClusterEvents(ctx, params); err != nil {
		return fmt.Errorf("record cluster events: %w", err)
	}
	return nil
}

// ClusterEvents returns up to most changes of the clusters that have had this name, newest
// first, that are older than the event with the id before; 0 is no bound.
func (s *Store) ClusterEvents(ctx context.Context, cluster string, before int64, most int) ([]ClusterEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	if before <= 0 {
		before = math.MaxInt64
	}
	rows, err := s.queries.ClusterEvents(ctx, dbsqlc.ClusterEventsParams{Cluster: cluster, BeforeID: before, Most: int32(most)}) //nolint:gosec // a page
	if err != nil {
		return nil, fmt.Errorf("read events of cluster %s: %w", cluster, err)
	}
	events := make([]ClusterEvent, len(rows))
	for i, row := range rows {
		events[i] = ClusterEvent{
			ID: row.ID, UID: row.ClusterUid, Cluster: row.Cluster, Phase: row.Phase, Reason: row.Reason,
			Message: row.Message, Version: row.Version, At: row.OccurredAt.Time,
		}
	}
	return events, nil
}
