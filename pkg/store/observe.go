package store

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Observation is what was seen of one Workflow.
type Observation struct {
	// Namespace and WorkflowName say which task it is of; WorkflowUID, or Identity while
	// the task does not know the UID, must be the task's as well.
	Namespace    string
	WorkflowName string
	WorkflowUID  string
	Identity     string
	// Status is Submitted, Running, Succeeded, Failed or Error. With Gone it does
	// not count.
	Status  Status
	Reason  v1alpha1.Reason
	Message string
	// Gone is the id of a task whose Workflow does not exist any more and whose end
	// was not seen; 0 for one that was seen.
	Gone int64
}

// Moved is a task that changed, and the objects it belongs to.
type Moved struct {
	ID           int64
	WorkflowName string
	Status       string
	Namespace    string
	Pipeline     string
	PipelineUid  string //nolint:revive // as sqlc spells it, so that its rows convert
	BuildName    string
}

// HasEnded tells whether the task is over, well or badly, so that something follows.
func (m Moved) HasEnded() bool { return Status(m.Status).HasEnded() }

// BusyError means that some tasks were not moved, since somebody else holds their rows
// locked. Observe them again; the others of the batch have moved.
type BusyError struct{ Workflows []types.NamespacedName }

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%d tasks are locked by another transaction, such as that of Workflow %s", len(e.Workflows), e.Workflows[0])
}

// Observe moves the tasks to where their Workflows are, in two statements, and
// returns those that moved. Tasks that are there already, or further, stay. With a
// *BusyError all others have moved.
func (s *Store) Observe(ctx context.Context, observations []Observation) ([]Moved, error) {
	seen := dbsqlc.ObserveWorkflowsParams{Cluster: s.cluster}
	var gone dbsqlc.LostWorkflowsParams
	for _, observation := range observations {
		if observation.Gone != 0 {
			gone.Ids = append(gone.Ids, observation.Gone)
			gone.Reasons = append(gone.Reasons, string(observation.Reason))
			gone.Messages = append(gone.Messages, clean(observation.Message))
			continue
		}
		seen.Namespaces = append(seen.Namespaces, observation.Namespace)
		seen.WorkflowNames = append(seen.WorkflowNames, observation.WorkflowName)
		seen.WorkflowUids = append(seen.WorkflowUids, clean(observation.WorkflowUID))
		seen.Identities = append(seen.Identities, clean(observation.Identity))
		seen.Statuses = append(seen.Statuses, string(observation.Status))
		seen.Reasons = append(seen.Reasons, string(observation.Reason))
		seen.Messages = append(seen.Messages, clean(observation.Message))
	}
	moved, busy, err := s.observeSeen(ctx, seen)
	if err != nil {
		return nil, err
	}
	lost, alsoBusy, err := s.observeGone(ctx, gone)
	if busy = append(busy, alsoBusy...); err == nil && len(busy) > 0 {
		err = &BusyError{Workflows: busy}
	}
	return append(moved, lost...), err
}

func (s *Store) observeSeen(ctx context.Context, params dbsqlc.ObserveWorkflowsParams) (moved []Moved, busy []types.NamespacedName, err error) {
	if len(params.WorkflowNames) == 0 {
		return nil, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.ObserveWorkflows(ctx, params)
	if err != nil {
		return nil, nil, fmt.Errorf("observe workflows: %w", err)
	}
	moved, busy = movedOrBusy(rows)
	return moved, busy, nil
}

// movedOrBusy tells the tasks that moved from those that somebody else holds locked.
func movedOrBusy(rows []dbsqlc.ObserveWorkflowsRow) (moved []Moved, busy []types.NamespacedName) {
	for _, row := range rows {
		if row.Busy {
			busy = append(busy, types.NamespacedName{Namespace: row.Namespace, Name: row.WorkflowName})
			continue
		}
		moved = append(moved, Moved{
			ID: row.ID, WorkflowName: row.WorkflowName, Status: row.Status, Namespace: row.Namespace,
			Pipeline: row.Pipeline, PipelineUid: row.PipelineUid, BuildName: row.BuildName,
		})
	}
	return moved, busy
}

func (s *Store) observeGone(ctx context.Context, params dbsqlc.LostWorkflowsParams) (moved []Moved, busy []types.NamespacedName, err error) {
	if len(params.Ids) == 0 {
		return nil, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.LostWorkflows(ctx, params)
	if err != nil {
		return nil, nil, fmt.Errorf("end tasks of lost workflows: %w", err)
	}
	moved, busy = movedOrBusy(convert(rows, func(row dbsqlc.LostWorkflowsRow) dbsqlc.ObserveWorkflowsRow { return dbsqlc.ObserveWorkflowsRow(row) }))
	return moved, busy, nil
}

// Active is a task whose Workflow should exist.
type Active struct {
	ID           int64
	WorkflowName string
	Namespace    string
	Identity     string
}

// StaleActive returns up to most tasks, by id, after the given one, whose
// Workflow should exist and which have not changed for the quiet time.
func (s *Store) StaleActive(ctx context.Context, quiet time.Duration, after int64, most int) ([]Active, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.StaleActive(ctx, dbsqlc.StaleActiveParams{
		Quiet: interval(quiet), After: after, Namespaces: s.namespaces, Cluster: s.cluster, Most: int32(most), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list stale tasks: %w", err)
	}
	return convert(rows, func(row dbsqlc.StaleActiveRow) Active { return Active(row) }), nil
}

// Open returns those of the Workflows that are of a task which has not ended.
func (s *Store) Open(ctx context.Context, workflows []types.NamespacedName) ([]types.NamespacedName, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	params := dbsqlc.OpenTasksParams{Cluster: s.cluster}
	for _, workflow := range workflows {
		params.Namespaces, params.WorkflowNames = append(params.Namespaces, workflow.Namespace), append(params.WorkflowNames, workflow.Name)
	}
	rows, err := s.queries.OpenTasks(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("look for open tasks: %w", err)
	}
	return convert(rows, func(row dbsqlc.OpenTasksRow) types.NamespacedName {
		return types.NamespacedName{Namespace: row.Namespace, Name: row.WorkflowName}
	}), nil
}

// Orphan is a Workflow whose task has ended.
type Orphan struct {
	Namespace, WorkflowName, Identity string
	// Status is how the task ended.
	Status Status
	// HadWorkflow false means that the task has ended without it.
	HadWorkflow bool
}

// Orphans returns those of the Workflows whose task has ended.
func (s *Store) Orphans(ctx context.Context, workflows []types.NamespacedName) ([]Orphan, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	params := dbsqlc.EndedTasksParams{Cluster: s.cluster}
	for _, workflow := range workflows {
		params.Namespaces, params.WorkflowNames = append(params.Namespaces, workflow.Namespace), append(params.WorkflowNames, workflow.Name)
	}
	rows, err := s.queries.EndedTasks(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("look for ended tasks: %w", err)
	}
	return convert(rows, func(row dbsqlc.EndedTasksRow) Orphan {
		return Orphan{
			Namespace: row.Namespace, WorkflowName: row.WorkflowName, Identity: row.Identity, Status: Status(row.Status), HadWorkflow: row.HadWorkflow,
		}
	}), nil
}

func convert[From, To any](rows []From, one func(From) To) []To {
	list := make([]To, len(rows))
	for i, row := range rows {
		list[i] = one(row)
	}
	return list
}
