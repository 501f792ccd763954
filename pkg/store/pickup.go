package store

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Submitted is a task whose Workflow exists and is not known to have begun.
type Submitted struct {
	ID                      int64
	Namespace, WorkflowName string
	// WorkflowUID is empty where it is not known.
	WorkflowUID string
	// NotTakenUp tells that it was noted that nobody takes the Workflow up.
	NotTakenUp bool
}

// Submitted returns up to most tasks, by id, after the given one, whose Workflow exists for
// longer than since, and all of which it was noted that nobody takes it up.
func (s *Store) Submitted(ctx context.Context, since time.Duration, after int64, most int) ([]Submitted, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.SubmittedTasks(ctx, dbsqlc.SubmittedTasksParams{
		Since: interval(since), After: after, Namespaces: s.namespaces, Cluster: s.cluster, Most: int32(most), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list submitted tasks: %w", err)
	}
	return convert(rows, func(row dbsqlc.SubmittedTasksRow) Submitted {
		return Submitted{
			ID: row.ID, Namespace: row.Namespace, WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid, NotTakenUp: row.NotTakenUp,
		}
	}), nil
}

// Pickup is that nobody takes the Workflow of a task up (ReasonNotTakenUp), or that somebody
// has (no reason).
type Pickup struct {
	ID      int64
	Reason  v1alpha1.Reason
	Message string
}

// MarkPickup notes this of tasks that are Submitted, and returns those that it was not
// noted of.
func (s *Store) MarkPickup(ctx context.Context, pickups []Pickup) ([]Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var params dbsqlc.MarkPickupParams
	for _, pickup := range pickups {
		params.Ids = append(params.Ids, pickup.ID)
		params.Reasons = append(params.Reasons, string(pickup.Reason))
		params.Messages = append(params.Messages, clean(pickup.Message))
	}
	rows, err := s.queries.MarkPickup(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("note whether workflows are taken up: %w", err)
	}
	return convert(rows, func(row dbsqlc.MarkPickupRow) Moved { return Moved(row) }), nil
}
