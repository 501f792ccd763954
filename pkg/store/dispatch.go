package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Status is where a stage of a run stands.
type Status string

// The states of a row in cd_workflow_runner.
const (
	StatusPending    Status = "Pending"
	StatusSubmitting Status = "Submitting"
	StatusSubmitted  Status = "Submitted"
	StatusRunning    Status = "Running"
	StatusSucceeded  Status = "Succeeded"
	StatusFailed     Status = "Failed"
	StatusError      Status = "Error"
	StatusCancelled  Status = "Cancelled"
	StatusSuperseded Status = "Superseded"
)

// Claim is a row that belongs to this worker until its lease runs out.
type Claim struct {
	ID           int64
	Attempt      int32
	Stage        trigger.Stage
	WorkflowName string
	Namespace    string
	Pipeline     string
	PipelineUID  string
	Run          int32
	Image        string
	Digest       string
	BuildUID     string
	BuildName    string
	Revision     string
	// Waited is how long the row was in the queue, by the database's clock.
	Waited time.Duration
}

// Identity is what the row's Workflow is known by.
func (c Claim) Identity() trigger.Identity {
	return trigger.Identity{
		BuildUID: c.BuildUID, Image: c.Image, Digest: c.Digest,
		PipelineUID: c.PipelineUID, Run: c.Run, Stage: c.Stage,
	}
}

// Completion is what became of a claimed row.
type Completion struct {
	ID      int64
	Attempt int32
	// Status is Submitted, Pending (given back), Error or Cancelled.
	Status  Status
	Reason  v1alpha1.Reason
	Message string
	// Delay is how long a row that is given back is left alone.
	Delay time.Duration
}

// Claim takes up to most rows from the head of the queue for the worker, for the
// length of the lease from now, by the database's clock.
func (s *Store) Claim(ctx context.Context, worker string, most int, lease time.Duration) ([]Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	rows, err := s.queries.ClaimRunners(ctx, dbsqlc.ClaimRunnersParams{
		Worker: worker, Namespaces: s.namespaces, Most: int32(most), Lease: interval(lease), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("claim runners: %w", err)
	}
	claims := make([]Claim, len(rows))
	for i, row := range rows {
		claims[i] = Claim{
			ID: row.ID, Attempt: row.Attempt, Stage: trigger.Stage(row.Stage), WorkflowName: row.WorkflowName,
			Namespace: row.Namespace, Pipeline: row.Pipeline, PipelineUID: row.PipelineUid, Run: row.Run,
			Image: row.Image, Digest: row.Digest,
			BuildUID: row.BuildUid, BuildName: row.BuildName, Revision: row.Revision,
			Waited: time.Duration(row.WaitedSeconds * float64(time.Second)),
		}
	}
	return claims, nil
}

// Complete records what became of claimed rows, in one statement, and returns
// those that were still this worker's. The others are left as they are.
func (s *Store) Complete(ctx context.Context, worker string, completions []Completion) ([]Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	params := dbsqlc.CompleteRunnersParams{Worker: worker}
	for _, completion := range completions {
		params.Ids = append(params.Ids, completion.ID)
		params.Attempts = append(params.Attempts, completion.Attempt)
		params.Statuses = append(params.Statuses, string(completion.Status))
		params.Reasons = append(params.Reasons, string(completion.Reason))
		params.Messages = append(params.Messages, clean(completion.Message))
		params.Delays = append(params.Delays, interval(completion.Delay))
	}
	rows, err := s.queries.CompleteRunners(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("complete runners: %w", err)
	}
	return convert(rows, func(row dbsqlc.CompleteRunnersRow) Moved { return Moved(row) }), nil
}

// ReclaimExpired gives back the rows whose lease ran out and returns their number.
func (s *Store) ReclaimExpired(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	reclaimed, err := s.queries.ReclaimExpired(ctx)
	if err != nil {
		return 0, fmt.Errorf("reclaim expired runners: %w", err)
	}
	return reclaimed, nil
}

// QueueDepth returns the number of Pending rows and the age of the oldest.
func (s *Store) QueueDepth(ctx context.Context) (int64, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	depth, err := s.queries.QueueDepth(ctx, s.namespaces)
	if err != nil {
		return 0, 0, fmt.Errorf("measure queue: %w", err)
	}
	return depth.Pending, time.Duration(depth.OldestSeconds * float64(time.Second)), nil
}

// ActiveWorkflows returns the number of rows whose Workflow is unfinished, or on
// its way.
func (s *Store) ActiveWorkflows(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	active, err := s.queries.ActiveWorkflows(ctx, s.namespaces)
	if err != nil {
		return 0, fmt.Errorf("count active workflows: %w", err)
	}
	return active, nil
}

func interval(duration time.Duration) pgtype.Interval {
	return pgtype.Interval{Microseconds: duration.Microseconds(), Valid: true}
}
