package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// ErrStale means that another worker has committed part of a batch first: read
// again and retry.
var ErrStale = errors.New("rows were followed by another worker meanwhile")

// Ended is a stage that has ended and whose consequence is not committed.
type Ended struct {
	ID           int64
	CdWorkflowID int64
	Stage        trigger.Stage
	Status       Status
	Priority     int32
	Namespace    string
	Pipeline     string
	PipelineUID  string
	Run          int32
	Artifact     v1alpha1.Artifact
	Build        trigger.Build
}

// Consequence is what follows an ended stage: exactly one of Next, Hold and
// Outcome is set.
type Consequence struct {
	Ended Ended
	// Next is the stage that starts now.
	Next trigger.Stage
	// Hold says why the next stage waits for a person.
	Hold string
	// Outcome is how the whole run ended.
	Outcome Status
	// Decisions are about the pipelines below, when the run ended.
	Decisions []trigger.Decision
}

// Unfollowed returns up to most ended stages whose consequence is not committed, but
// for the rows with these ids.
func (s *Store) Unfollowed(ctx context.Context, most int, passedOver []int64) ([]Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.Unfollowed(ctx, dbsqlc.UnfollowedParams{
		Most: int32(most), Namespaces: s.namespaces, PassedOver: append([]int64{}, passedOver...), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list ended runners: %w", err)
	}
	return convert(rows, ended), nil
}

func ended(row dbsqlc.UnfollowedRow) Ended {
	return Ended{
		ID: row.ID, CdWorkflowID: row.CdWorkflowID,
		Stage: trigger.Stage(row.Stage), Status: Status(row.Status), Priority: row.Priority,
		Namespace: row.Namespace, Pipeline: row.Pipeline, PipelineUID: row.PipelineUid, Run: row.Run,
		Artifact: v1alpha1.Artifact{Image: row.Image, Digest: row.Digest},
		Build: trigger.Build{
			UID: row.BuildUid, Namespace: row.Namespace, Name: row.BuildName, CiPipeline: row.CiPipeline,
			Revision: row.Revision, Cause: row.Cause, Phase: v1alpha1.BuildPhase(row.Phase),
		},
	}
}

// Follow commits the consequences of ended stages in one transaction. It returns
// ErrStale, and writes nothing, where one of them was committed before.
func (s *Store) Follow(ctx context.Context, consequences []Consequence) error {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		ids := convert(consequences, func(c Consequence) int64 { return c.Ended.ID })
		marked, err := queries.MarkFollowed(ctx, ids)
		if err != nil {
			return err
		}
		if int(marked) != len(ids) {
			return ErrStale
		}
		if err := writeConsequences(ctx, queries, consequences); err != nil {
			return err
		}
		return failpoint.Error(failpoint.FollowBeforeCommit)
	})
	if err != nil {
		return fmt.Errorf("follow ended runners: %w", err)
	}
	return nil
}

func writeConsequences(ctx context.Context, queries *dbsqlc.Queries, consequences []Consequence) error {
	if err := insertStages(ctx, queries, consequences); err != nil {
		return err
	}
	if err := holdRuns(ctx, queries, consequences); err != nil {
		return err
	}
	if err := finishRuns(ctx, queries, consequences); err != nil {
		return err
	}
	for _, consequence := range consequences {
		if err := insertDecided(ctx, queries, consequence.Ended.Build, consequence.Decisions); err != nil {
			return err
		}
	}
	return nil
}

func insertStages(ctx context.Context, queries *dbsqlc.Queries, consequences []Consequence) error {
	var params dbsqlc.InsertStagesParams
	for _, consequence := range consequences {
		if consequence.Next == "" {
			continue
		}
		ended := consequence.Ended
		identity := trigger.Identity{
			BuildUID: ended.Build.UID, Image: ended.Artifact.Image, Digest: ended.Artifact.Digest,
			PipelineUID: ended.PipelineUID, Run: ended.Run, Stage: consequence.Next,
		}
		params.CdWorkflowIds = append(params.CdWorkflowIds, ended.CdWorkflowID)
		params.Namespaces = append(params.Namespaces, ended.Namespace)
		params.Stages = append(params.Stages, string(consequence.Next))
		params.WorkflowNames = append(params.WorkflowNames, trigger.WorkflowName(ended.Pipeline, identity))
		params.Priorities = append(params.Priorities, ended.Priority)
	}
	if len(params.Stages) == 0 {
		return nil
	}
	return queries.InsertStages(ctx, params)
}

func holdRuns(ctx context.Context, queries *dbsqlc.Queries, consequences []Consequence) error {
	params := dbsqlc.HoldRunsParams{Reason: string(v1alpha1.ReasonManualStage)}
	for _, consequence := range consequences {
		if consequence.Hold == "" {
			continue
		}
		params.CdWorkflowIds = append(params.CdWorkflowIds, consequence.Ended.CdWorkflowID)
		params.Messages = append(params.Messages, clean(consequence.Hold))
	}
	if len(params.CdWorkflowIds) == 0 {
		return nil
	}
	return queries.HoldRuns(ctx, params)
}

func finishRuns(ctx context.Context, queries *dbsqlc.Queries, consequences []Consequence) error {
	var params dbsqlc.FinishRunsParams
	for _, consequence := range consequences {
		if consequence.Outcome == "" {
			continue
		}
		params.CdWorkflowIds = append(params.CdWorkflowIds, consequence.Ended.CdWorkflowID)
		params.Outcomes = append(params.Outcomes, string(consequence.Outcome))
	}
	if len(params.CdWorkflowIds) == 0 {
		return nil
	}
	return queries.FinishRuns(ctx, params)
}
