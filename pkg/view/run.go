package view

import (
	"context"
	"fmt"
	"math"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// RunsOfBuild returns up to limit runs of a build, in their order, behind one of them.
func (v *View) RunsOfBuild(ctx context.Context, build rest.Build, after int64, limit int) ([]rest.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	ids, err := v.queries.ViewRunIDsOfBuild(ctx, dbsqlc.ViewRunIDsOfBuildParams{BuildUid: build.UID, After: after, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("list runs of build %s: %w", build.Name, err)
	}
	runs, _, err := v.runs(ctx, ids)
	return runs, err
}

// RunsOfPipeline returns up to limit runs of a pipeline, the newest first, behind one of
// them (0 is none). It returns ErrNotFound where there never was such a pipeline. Of
// pipelines that had the same name one after the other it is about the last.
func (v *View) RunsOfPipeline(ctx context.Context, namespace, pipeline string, before int64, limit int) ([]rest.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	uid, err := only(v.queries.ViewPipelineUID(ctx, dbsqlc.ViewPipelineUIDParams{Namespace: namespace, Pipeline: pipeline}))
	if err != nil {
		return nil, fmt.Errorf("read pipeline %s: %w", pipeline, err)
	}
	if before == 0 {
		before = math.MaxInt64
	}
	ids, err := v.queries.ViewRunIDsOfPipeline(ctx, dbsqlc.ViewRunIDsOfPipelineParams{PipelineUid: uid, Before: before, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("list runs of pipeline %s: %w", pipeline, err)
	}
	runs, _, err := v.runs(ctx, ids)
	if err != nil {
		return nil, err
	}
	newest := make([]rest.Run, 0, len(runs))
	for i := range runs {
		newest = append(newest, runs[len(runs)-1-i])
	}
	return newest, nil
}

// Run returns one run of a namespace, or ErrNotFound.
func (v *View) Run(ctx context.Context, namespace string, id int64) (rest.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	runs, namespaces, err := v.runs(ctx, []int64{id})
	if err != nil {
		return rest.Run{}, err
	}
	if len(runs) == 0 || namespaces[0] != namespace {
		return rest.Run{}, fmt.Errorf("read run %d: %w", id, ErrNotFound)
	}
	return runs[0], nil
}

// runs returns runs with their stages and namespaces, in the order of their numbers.
func (v *View) runs(ctx context.Context, ids []int64) (runs []rest.Run, namespaces []string, err error) {
	if len(ids) == 0 {
		return []rest.Run{}, nil, nil
	}
	rows, err := v.queries.ViewRuns(ctx, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("read runs: %w", err)
	}
	stages, clusters, err := v.stages(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		namespaces = append(namespaces, row.Namespace)
		runs = append(runs, rest.Run{
			ID: row.ID, Number: row.Run, Pipeline: row.Pipeline, Build: row.BuildName, Image: row.Image, Digest: row.Digest,
			Artifacts: row.Artifacts, Cluster: clusters[row.ID], Cause: row.Cause, Actor: row.Actor, Outcome: row.Outcome,
			Stages: append([]rest.Stage{}, stages[row.ID]...), CreatedAt: when(row.CreatedAt), FinishedAt: at(row.FinishedAt),
		})
	}
	return runs, namespaces, nil
}

// stages returns the stages of runs, and the clusters that they are in: all of a run are in one.
func (v *View) stages(ctx context.Context, runs []int64) (stages map[int64][]rest.Stage, clusters map[int64]string, err error) {
	rows, err := v.queries.ViewStages(ctx, runs)
	if err != nil {
		return nil, nil, fmt.Errorf("read stages: %w", err)
	}
	stages, clusters = map[int64][]rest.Stage{}, map[int64]string{}
	for _, row := range rows {
		clusters[row.CdWorkflowID] = row.Cluster
		stages[row.CdWorkflowID] = append(stages[row.CdWorkflowID], rest.Stage{
			Stage: row.Stage, Attempt: row.Attempt, State: row.Status, Reason: row.Reason, Message: row.Message, ResumedBy: row.ResumedBy,
			WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid,
			QueuedAt: at(row.QueuedAt), SubmittedAt: at(row.SubmittedAt), StartedAt: at(row.StartedAt), FinishedAt: at(row.FinishedAt),
		})
	}
	return stages, clusters, nil
}
