package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// BuildTask is where the task of a build stands.
type BuildTask struct {
	ID       int64
	BuildUID string
	// PipelineUID is that of the CiPipeline that it was queued for.
	PipelineUID               string
	Status                    Status
	Reason                    v1alpha1.Reason
	Message                   string
	WorkflowName, WorkflowUID string
	// HadWorkflow tells that its Workflow was created.
	HadWorkflow           bool
	StartedAt, FinishedAt pgtype.Timestamptz
	// Cluster is where its Workflow is, or will be; empty at home.
	Cluster string
	// For is how long it has stood there, by the database's clock.
	For time.Duration
}

// BuildTasks returns the tasks of builds, by the UID of their CiBuild.
func (s *Store) BuildTasks(ctx context.Context, buildUIDs ...string) (map[string]BuildTask, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.BuildTasks(ctx, buildUIDs)
	if err != nil {
		return nil, fmt.Errorf("read tasks of builds: %w", err)
	}
	tasks := make(map[string]BuildTask, len(rows))
	for _, row := range rows {
		tasks[row.BuildUid] = BuildTask{
			ID: row.ID, BuildUID: row.BuildUid, PipelineUID: row.OwnerUid, Cluster: row.Cluster, Status: Status(row.Status), Reason: v1alpha1.Reason(row.Reason), Message: row.Message,
			WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid, HadWorkflow: row.SubmittedAt.Valid,
			StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, For: time.Duration(row.ForSeconds * float64(time.Second)),
		}
	}
	return tasks, nil
}

// EndTemplateWait ends a build that has waited too long for its template.
func (s *Store) EndTemplateWait(ctx context.Context, task int64, message string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var move dbsqlc.MoveHeldBuildsParams
	addMove(&move, task, StatusError, v1alpha1.ReasonTemplateNotFound, clean(message))
	if err := s.queries.MoveHeldBuilds(ctx, move); err != nil {
		return fmt.Errorf("end build that waits for its template: %w", err)
	}
	return nil
}

// CancelHeldBuild ends a build that waits for its turn or its template in a CiPipeline that was
// deleted.
func (s *Store) CancelHeldBuild(ctx context.Context, task int64, message string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var move dbsqlc.MoveHeldBuildsParams
	addMove(&move, task, StatusCancelled, v1alpha1.ReasonPipelineDeleted, clean(message))
	if err := s.queries.MoveHeldBuilds(ctx, move); err != nil {
		return fmt.Errorf("end build of a deleted pipeline: %w", err)
	}
	return nil
}

// EndedBuild is a build whose task has ended.
type EndedBuild struct {
	BuildTask
	Namespace, BuildName, Ref string
	Pipeline                  PipelineRef
}

// EndedBuilds returns up to most builds whose task has ended and is not settled, but for the
// tasks with these ids.
func (s *Store) EndedBuilds(ctx context.Context, most int, passedOver []int64) ([]EndedBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.EndedBuildTasks(ctx, dbsqlc.EndedBuildTasksParams{
		Namespaces: s.namespaces, PassedOver: append([]int64{}, passedOver...), Most: int32(most), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list builds that have ended: %w", err)
	}
	return convert(rows, func(row dbsqlc.EndedBuildTasksRow) EndedBuild {
		return EndedBuild{
			Namespace: row.Namespace, BuildName: row.BuildName, Ref: row.Ref,
			Pipeline: PipelineRef{UID: row.OwnerUid, Namespace: row.Namespace, Name: row.OwnerName},
			BuildTask: BuildTask{
				ID: row.ID, BuildUID: row.BuildUid, PipelineUID: row.OwnerUid, Cluster: row.Cluster, Status: Status(row.Status), Reason: v1alpha1.Reason(row.Reason), Message: row.Message,
				WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid, HadWorkflow: row.SubmittedAt.Valid,
				StartedAt: row.StartedAt, FinishedAt: row.FinishedAt,
			},
		}
	}), nil
}

// SettleBuilds notes that the CiBuilds of these tasks say how they ended.
func (s *Store) SettleBuilds(ctx context.Context, ids []int64) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if err := s.queries.SettleBuildTasks(ctx, ids); err != nil {
		return fmt.Errorf("settle builds: %w", err)
	}
	return nil
}
