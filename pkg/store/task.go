package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Status is where a task stands.
type Status string

// The states of a task.
const (
	StatusHeld       Status = "Held"
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

// HasEnded tells whether the state is an end, well or badly.
func (s Status) HasEnded() bool {
	switch s {
	case StatusSucceeded, StatusFailed, StatusError, StatusCancelled, StatusSuperseded:
		return true
	default:
		return false
	}
}

// Kind is what a task is of, and which builder makes its Workflow.
type Kind string

// The kinds of task.
const (
	// KindCd is a stage of a run.
	KindCd Kind = "cd"
	// KindCi is a build.
	KindCi Kind = "ci"
)

// Lane is a queue of its own: each has its pool, and none waits for another.
type Lane struct {
	Kind Kind
	// Cluster is empty for the one that Penstock runs in.
	Cluster string
}

// Name is how logs, metrics and the token bucket call the lane.
func (l Lane) Name() string {
	if l.Cluster == "" {
		return string(l.Kind)
	}
	return string(l.Kind) + "/" + l.Cluster
}

// Owner is the object that a task belongs to.
type Owner struct {
	Kind, Name, UID string
}

// Claim is a task that belongs to this worker until its lease runs out.
type Claim struct {
	ID int64
	// Attempt counts the claims of the task, Failures how often it was given back
	// because its Workflow could not be created.
	Attempt   int32
	Failures  int32
	Kind      Kind
	Cluster   string
	Namespace string
	Owner     Owner
	// Identity is the task's, of which WorkflowName holds a part.
	Identity     string
	WorkflowName string
	Inputs       trigger.Inputs
	// StopReason, where it is set, says why the task is to be ended instead of triggered.
	StopReason v1alpha1.Reason
	// Waited is how long the task was in the queue, by the database's clock.
	Waited time.Duration
	// Probe says that the task was set aside, and is tried to find out whether its namespace
	// has room.
	Probe bool
	// Ending says that the task is to be ended or held, and that no Workflow is to be created
	// for it now.
	Ending bool
}

// Completion is what became of a claimed task.
type Completion struct {
	ID      int64
	Attempt int32
	// Status is Submitted, Pending (given back), Held, Error or Cancelled.
	Status  Status
	Reason  v1alpha1.Reason
	Message string
	// Failed counts a failure of a task that is given back; false where the task is not to
	// blame.
	Failed bool
	// Delay is how long a task that is given back is left alone.
	Delay time.Duration
	// WorkflowUID is that of the Workflow which exists; empty where it is not known.
	WorkflowUID string
	// DelayedBy sets a task that is given back aside, and names the cause; empty leaves it
	// in the queue.
	DelayedBy v1alpha1.Reason
}

// Claim takes up to most tasks from the head of the lane for the worker, for the length
// of the lease from now, by the database's clock.
func (s *Store) Claim(ctx context.Context, lane Lane, worker string, most int, lease time.Duration) ([]Claim, error) {
	claims, _, err := s.ClaimWithin(ctx, lane, worker, most, lease, Rooms{})
	return claims, err
}

func claimOf(row dbsqlc.ClaimTasksRow) (Claim, error) {
	claim := Claim{
		ID: row.ID, Attempt: row.Attempt, Failures: row.Failures, Kind: Kind(row.Kind), Cluster: row.Cluster, Namespace: row.Namespace,
		Owner:    Owner{Kind: row.OwnerKind, Name: row.OwnerName, UID: row.OwnerUid},
		Identity: row.Identity, WorkflowName: row.WorkflowName, StopReason: v1alpha1.Reason(row.StopReason),
		Waited: time.Duration(row.WaitedSeconds * float64(time.Second)),
	}
	if err := json.Unmarshal(row.Inputs, &claim.Inputs); err != nil {
		return Claim{}, fmt.Errorf("decode inputs of task %d: %w", row.ID, err)
	}
	return claim, nil
}

// addArtifacts reads the lists that are too large for a task.
func (s *Store) addArtifacts(ctx context.Context, claims []Claim) error {
	var runs []int64
	for i := range claims {
		if claims[i].Inputs.All {
			runs = append(runs, claims[i].Inputs.Run)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	artifacts, err := runArtifacts(ctx, s.queries, runs)
	for i := range claims {
		claims[i].Inputs.Artifacts = artifacts[claims[i].Inputs.Run]
	}
	return err
}

// runArtifacts returns what the runs are given that are given all artifacts.
func runArtifacts(ctx context.Context, queries *dbsqlc.Queries, runs []int64) (map[int64][]v1alpha1.Artifact, error) {
	rows, err := queries.RunArtifacts(ctx, runs)
	if err != nil {
		return nil, fmt.Errorf("read artifacts of runs: %w", err)
	}
	artifacts := map[int64][]v1alpha1.Artifact{}
	for _, row := range rows {
		artifacts[row.RunID] = append(artifacts[row.RunID], v1alpha1.Artifact{Image: row.Image, Digest: row.Digest})
	}
	return artifacts, nil
}

// Complete records what became of claimed tasks, in one statement, and returns
// those that were still this worker's. The others are left as they are.
func (s *Store) Complete(ctx context.Context, worker string, completions []Completion) ([]Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	params := dbsqlc.CompleteTasksParams{Worker: worker}
	for _, completion := range lastAttempts(completions) {
		params.Ids = append(params.Ids, completion.ID)
		params.Attempts = append(params.Attempts, completion.Attempt)
		params.Statuses = append(params.Statuses, string(completion.Status))
		params.Reasons = append(params.Reasons, string(completion.Reason))
		params.Messages = append(params.Messages, clean(completion.Message))
		params.Faileds = append(params.Faileds, completion.Failed)
		params.Delays = append(params.Delays, interval(completion.Delay))
		params.WorkflowUids = append(params.WorkflowUids, completion.WorkflowUID)
		params.DelayedBys = append(params.DelayedBys, string(completion.DelayedBy))
	}
	rows, err := s.queries.CompleteTasks(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("complete tasks: %w", err)
	}
	return convert(rows, func(row dbsqlc.CompleteTasksRow) Moved { return Moved(row) }), nil
}

// lastAttempts leaves out what an attempt came to of which a later one has ended too, since the
// worker lost its claim and took the task again: it is stale. No task is there twice.
func lastAttempts(completions []Completion) []Completion {
	var last []Completion
	place := map[int64]int{}
	for _, completion := range completions {
		i, known := place[completion.ID]
		switch {
		case !known:
			place[completion.ID] = len(last)
			last = append(last, completion)
		case completion.Attempt > last[i].Attempt:
			last[i] = completion
		}
	}
	return last
}

// ReclaimExpired gives back the tasks whose lease ran out, or whose worker has been silent
// for WorkerSilence, and returns their number.
func (s *Store) ReclaimExpired(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	reclaimed, err := s.queries.ReclaimExpired(ctx, interval(WorkerSilence))
	if err != nil {
		return 0, fmt.Errorf("reclaim expired tasks: %w", err)
	}
	return reclaimed, nil
}

// QueueDepth returns the number of Pending tasks that are not set aside, and the age of the
// oldest.
func (s *Store) QueueDepth(ctx context.Context) (int64, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	depth, err := s.queries.QueueDepth(ctx, s.namespaces)
	if err != nil {
		return 0, 0, fmt.Errorf("measure queue: %w", err)
	}
	return depth.Pending, time.Duration(depth.OldestSeconds * float64(time.Second)), nil
}

// Stopping is a task whose Workflow is to be stopped.
type Stopping struct {
	ID           int64
	Namespace    string
	WorkflowName string
}

// Stopping returns up to most tasks whose Workflow is to be stopped, but for those with
// these ids.
func (s *Store) Stopping(ctx context.Context, most int, passedOver ...int64) ([]Stopping, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.StoppingTasks(ctx, dbsqlc.StoppingTasksParams{
		PassedOver: append([]int64{}, passedOver...), Namespaces: s.namespaces, Cluster: s.cluster, Most: int32(most), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks to stop: %w", err)
	}
	return convert(rows, func(row dbsqlc.StoppingTasksRow) Stopping { return Stopping(row) }), nil
}

// CancelWaiting ends what waits of a pipeline, and returns what has changed. It locks the
// pipeline first, as whoever gives turns does, so that it misses nothing that they let go.
func (s *Store) CancelWaiting(ctx context.Context, pipelineUID string, reason v1alpha1.Reason, message string) ([]Moved, error) {
	return s.cancelWaiting(ctx, dbsqlc.CancelWaitingParams{OwnerUid: pipelineUID, Reason: string(reason), Message: clean(message)})
}

// CancelOfOtherParents is CancelWaiting for what another parent than this one has triggered.
func (s *Store) CancelOfOtherParents(ctx context.Context, pipelineUID, parent string, message string) ([]Moved, error) {
	return s.cancelWaiting(ctx, dbsqlc.CancelWaitingParams{
		OwnerUid: pipelineUID, Parent: parent, Reason: string(v1alpha1.ReasonParentChanged), Message: clean(message),
	})
}

func (s *Store) cancelWaiting(ctx context.Context, params dbsqlc.CancelWaitingParams) ([]Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var rows []dbsqlc.CancelWaitingRow
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) (err error) {
		if _, err = queries.LockPipelines(ctx, []string{params.OwnerUid}); err != nil {
			return err
		}
		rows, err = queries.CancelWaiting(ctx, params)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cancel waiting tasks: %w", err)
	}
	return convert(rows, func(row dbsqlc.CancelWaitingRow) Moved { return Moved(row) }), nil
}

// SetPriority moves what waits of a pipeline to its place in the queue.
func (s *Store) SetPriority(ctx context.Context, pipelineUID string, priority int32) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if _, err := s.queries.SetPriority(ctx, dbsqlc.SetPriorityParams{OwnerUid: pipelineUID, Priority: priority}); err != nil {
		return fmt.Errorf("set priority of waiting tasks: %w", err)
	}
	return nil
}

func interval(duration time.Duration) pgtype.Interval {
	return pgtype.Interval{Microseconds: duration.Microseconds(), Valid: true}
}
