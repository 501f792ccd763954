package store

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// ActiveWorkflows returns the number of tasks whose Workflow is unfinished, or on
// its way, but for those with these ids.
func (s *Store) ActiveWorkflows(ctx context.Context, suspended ...int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	active, err := s.queries.ActiveWorkflows(ctx, dbsqlc.ActiveWorkflowsParams{Namespaces: s.namespaces, Cluster: s.cluster, Suspended: append([]int64{}, suspended...)})
	if err != nil {
		return 0, fmt.Errorf("count active workflows: %w", err)
	}
	return active, nil
}

// ActiveByNamespace is ActiveWorkflows by namespace. A namespace without any is not in it.
func (s *Store) ActiveByNamespace(ctx context.Context, suspended ...int64) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.ActiveByNamespace(ctx, dbsqlc.ActiveByNamespaceParams{Namespaces: s.namespaces, Cluster: s.cluster, Suspended: append([]int64{}, suspended...)})
	if err != nil {
		return nil, fmt.Errorf("count active workflows by namespace: %w", err)
	}
	active := make(map[string]int64, len(rows))
	for _, row := range rows {
		active[row.Namespace] = row.Active
	}
	return active, nil
}

// Holder is a task whose Workflow exists and has not ended.
type Holder struct {
	ID           int64
	Namespace    string
	WorkflowName string
	// WorkflowUID is empty where it is not known.
	WorkflowUID string
	// Since is when the Workflow was created, by the database's clock.
	Since time.Time
}

// OldestActive returns up to most tasks of this cluster that have had a Workflow for the
// longest time, the oldest first, but for those with these ids.
func (s *Store) OldestActive(ctx context.Context, most int, passedOver ...int64) ([]Holder, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.OldestActive(ctx, dbsqlc.OldestActiveParams{
		PassedOver: append([]int64{}, passedOver...), Namespaces: s.namespaces, Cluster: s.cluster, Most: bounded(most),
	})
	if err != nil {
		return nil, fmt.Errorf("list oldest active tasks: %w", err)
	}
	return convert(rows, func(row dbsqlc.OldestActiveRow) Holder {
		return Holder{ID: row.ID, Namespace: row.Namespace, WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid, Since: row.Since.Time}
	}), nil
}
