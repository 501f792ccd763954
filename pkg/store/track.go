package store

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Observation is what was seen of one Workflow.
type Observation struct {
	// ID is the row that the Workflow names as its own. It is the row's only where
	// Namespace, WorkflowName and Owner, the UID of the CdPipeline that owns it, are
	// the row's as well.
	ID           int64
	Namespace    string
	WorkflowName string
	Owner        string
	// Status is Submitted, Running, Succeeded, Failed or Error. With Gone it does
	// not count.
	Status  Status
	Reason  v1alpha1.Reason
	Message string
	// Gone true means that the Workflow does not exist any more and that its end
	// was not seen.
	Gone bool
}

// Moved is a row that changed, and whom that concerns.
type Moved struct {
	ID          int64
	Status      string
	Namespace   string
	Pipeline    string
	PipelineUid string //nolint:revive // as sqlc spells it, so that its rows convert
	BuildUid    string //nolint:revive // as sqlc spells it, so that its rows convert
	BuildName   string
}

// HasEnded tells whether the stage is over, well or badly, so that something follows.
func (m Moved) HasEnded() bool {
	switch Status(m.Status) {
	case StatusSucceeded, StatusFailed, StatusError, StatusCancelled, StatusSuperseded:
		return true
	default:
		return false
	}
}

// Observe moves the rows to where their Workflows are, in two statements, and
// returns those that moved. Rows that are there already, or further, stay.
func (s *Store) Observe(ctx context.Context, observations []Observation) ([]Moved, error) {
	var seen dbsqlc.ObserveWorkflowsParams
	var gone dbsqlc.LostWorkflowsParams
	for _, observation := range observations {
		if observation.Gone {
			gone.Ids = append(gone.Ids, observation.ID)
			gone.Namespaces = append(gone.Namespaces, observation.Namespace)
			gone.Owners = append(gone.Owners, clean(observation.Owner))
			gone.WorkflowNames = append(gone.WorkflowNames, observation.WorkflowName)
			gone.Reasons = append(gone.Reasons, string(observation.Reason))
			gone.Messages = append(gone.Messages, clean(observation.Message))
			continue
		}
		seen.Ids = append(seen.Ids, observation.ID)
		seen.Namespaces = append(seen.Namespaces, observation.Namespace)
		seen.Owners = append(seen.Owners, clean(observation.Owner))
		seen.WorkflowNames = append(seen.WorkflowNames, observation.WorkflowName)
		seen.Statuses = append(seen.Statuses, string(observation.Status))
		seen.Reasons = append(seen.Reasons, string(observation.Reason))
		seen.Messages = append(seen.Messages, clean(observation.Message))
	}
	moved, err := s.observeSeen(ctx, seen)
	if err != nil {
		return nil, err
	}
	lost, err := s.observeGone(ctx, gone)
	return append(moved, lost...), err
}

func (s *Store) observeSeen(ctx context.Context, params dbsqlc.ObserveWorkflowsParams) ([]Moved, error) {
	if len(params.Ids) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.ObserveWorkflows(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("observe workflows: %w", err)
	}
	return convert(rows, func(row dbsqlc.ObserveWorkflowsRow) Moved { return Moved(row) }), nil
}

func (s *Store) observeGone(ctx context.Context, params dbsqlc.LostWorkflowsParams) ([]Moved, error) {
	if len(params.Ids) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.LostWorkflows(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("end runners of lost workflows: %w", err)
	}
	return convert(rows, func(row dbsqlc.LostWorkflowsRow) Moved { return Moved(row) }), nil
}

// Active is a row whose Workflow should exist.
type Active struct {
	ID           int64
	WorkflowName string
	Namespace    string
	PipelineUid  string //nolint:revive // as sqlc spells it, so that its rows convert
}

// StaleActive returns up to most rows, by id, after the given one, whose
// Workflow should exist and which have not changed for the quiet time.
func (s *Store) StaleActive(ctx context.Context, quiet time.Duration, after int64, most int) ([]Active, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.StaleActive(ctx, dbsqlc.StaleActiveParams{
		Quiet: interval(quiet), After: after, Namespaces: s.namespaces, Most: int32(most), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list stale runners: %w", err)
	}
	return convert(rows, func(row dbsqlc.StaleActiveRow) Active { return Active(row) }), nil
}

func convert[From, To any](rows []From, one func(From) To) []To {
	list := make([]To, len(rows))
	for i, row := range rows {
		list[i] = one(row)
	}
	return list
}
