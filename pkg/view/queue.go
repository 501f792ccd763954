package view

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Place is where a task stands in the queue. The zero value is before the first.
type Place struct {
	Kind, Cluster string
	Priority      int32
	FairAt        time.Time
	ID            int64
}

// Task is a task and its place.
type Task struct {
	rest.Task

	Place Place
}

// Pending returns up to limit tasks that wait for a slot, in the order in which they are
// served, one lane after the other, behind a place. Those whose lane is shut say why.
func (v *View) Pending(ctx context.Context, scope Scope, after Place, limit int) ([]Task, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewPending(ctx, dbsqlc.ViewPendingParams{
		AllNamespaces: scope.All, Namespaces: scope.names(), AfterKind: after.Kind, AfterCluster: after.Cluster,
		AfterPriority: int64(after.Priority), AfterFairAt: pgtype.Timestamptz{Time: after.FairAt, Valid: true}, AfterID: after.ID, Most: most(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	shut, err := shutLanes(ctx, v.queries, clustersOf(rows))
	if err != nil {
		return nil, err
	}
	tasks := make([]Task, len(rows))
	for i, row := range rows {
		tasks[i] = task(row)
		if why := shut[row.Cluster]; why != "" {
			tasks[i].Reason, tasks[i].Message = string(v1alpha1.ReasonLaneShut), why
		}
	}
	return tasks, nil
}

// clustersOf are the clusters in which tasks are to run.
func clustersOf(rows []dbsqlc.ViewPendingRow) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, row := range rows {
			if !yield(row.Cluster) {
				return
			}
		}
	}
}

// Tasks returns up to limit tasks of a state other than Pending that have not ended, by
// id, behind one of them. Stages that wait for the stage before are not among them.
func (v *View) Tasks(ctx context.Context, scope Scope, state string, after int64, limit int) ([]Task, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewTasks(ctx, dbsqlc.ViewTasksParams{
		Status: state, AllNamespaces: scope.All, Namespaces: scope.names(), After: after, Most: most(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("read tasks: %w", err)
	}
	tasks := make([]Task, len(rows))
	for i, row := range rows {
		tasks[i] = task(dbsqlc.ViewPendingRow(row))
	}
	return tasks, nil
}

func task(row dbsqlc.ViewPendingRow) Task {
	var inputs trigger.Inputs
	// A task of a kind that this Penstock does not know may have inputs of another form.
	_ = json.Unmarshal(row.Inputs, &inputs)
	shown := rest.Task{
		ID: row.ID, Kind: row.Kind, Cluster: row.Cluster, Namespace: row.Namespace, Pipeline: row.OwnerName,
		Build: inputs.Build, Run: inputs.Run, Stage: string(inputs.Stage),
		State: row.Status, Reason: row.Reason, Message: row.Message, Priority: row.Priority, Attempt: row.Attempt, Failures: row.Failures,
		WorkflowName: row.WorkflowName, QueuedAt: when(row.QueuedAt), NotBefore: at(row.AvailableAt),
	}
	return Task{Task: shown, Place: Place{
		Kind: row.Kind, Cluster: row.Cluster, Priority: row.Priority, FairAt: row.FairAt.Time, ID: row.ID,
	}}
}

// QueueCounts counts the tasks that have not ended.
func (v *View) QueueCounts(ctx context.Context, scope Scope) (rest.QueueCounts, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	row, err := v.queries.ViewQueueCounts(ctx, dbsqlc.ViewQueueCountsParams{AllNamespaces: scope.All, Namespaces: scope.names()})
	if err != nil {
		return rest.QueueCounts{}, fmt.Errorf("count tasks: %w", err)
	}
	return rest.QueueCounts{
		Held: row.Held, Pending: row.Pending, Submitting: row.Submitting, Active: row.Active, Oldest: at(row.Oldest),
	}, nil
}
