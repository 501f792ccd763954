package store

import (
	"context"
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// RunState is a run and where its stages are.
type RunState struct {
	ID        int64
	BuildUID  string
	BuildName string
	// Artifacts are those that the run was given, at least one.
	Artifacts []v1alpha1.Artifact
	// Outcome is empty until the run has ended.
	Outcome Status
	Stages  []StageState
	// Newest tells whether it is the newest run of its artifact.
	Newest bool
}

// StageState is where a stage is.
type StageState struct {
	Stage  trigger.Stage
	Status Status
	Reason v1alpha1.Reason
}

// maxRuns bounds how many runs of a pipeline a request looks at: a build has at most 256
// artifacts, and each a few runs.
const maxRuns = 1000

// Runs returns runs of a pipeline, the newest first: the one with the number, or those of
// the build.
func (s *Store) Runs(ctx context.Context, pipelineUID string, run int64, build string) ([]RunState, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	return runsOf(ctx, s.queries, pipelineUID, run, build)
}

func runsOf(ctx context.Context, queries *dbsqlc.Queries, pipelineUID string, run int64, build string) ([]RunState, error) {
	rows, err := queries.RunsOf(ctx, dbsqlc.RunsOfParams{PipelineUid: pipelineUID, RunID: run, BuildName: build, Most: maxRuns})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	runs := convert(rows, runState)
	var all []int64
	for i, row := range rows {
		if row.Artifacts == string(v1alpha1.ArtifactsAll) {
			all = append(all, runs[i].ID)
		}
	}
	if len(all) == 0 {
		return runs, nil
	}
	artifacts, err := runArtifacts(ctx, queries, all)
	for i := range runs {
		if list := artifacts[runs[i].ID]; len(list) > 0 {
			runs[i].Artifacts = list
		}
	}
	return runs, err
}

func runState(row dbsqlc.RunsOfRow) RunState {
	run := RunState{
		ID: row.ID, BuildUID: row.BuildUid, BuildName: row.BuildName, Newest: row.IsNewest,
		Artifacts: []v1alpha1.Artifact{{Image: row.Image, Digest: row.Digest}},
	}
	for _, image := range row.Also {
		run.Artifacts = append(run.Artifacts, v1alpha1.Artifact{Image: image, Digest: row.Digest})
	}
	if row.Outcome != nil {
		run.Outcome = Status(*row.Outcome)
	}
	for i, stage := range row.Stages {
		run.Stages = append(run.Stages, StageState{
			Stage: trigger.Stage(stage), Status: Status(row.Statuses[i]), Reason: v1alpha1.Reason(row.Reasons[i]),
		})
	}
	return run
}

// FinishedBuild is a build that was planned, and its place in the order of builds.
type FinishedBuild struct {
	trigger.Build
	Place     trigger.Place
	Artifacts []v1alpha1.Artifact
}

// FindBuild returns the newest planned build of that name, or nil.
func (s *Store) FindBuild(ctx context.Context, namespace, name string) (*FinishedBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.RequestedBuild(ctx, dbsqlc.RequestedBuildParams{Namespace: namespace, BuildName: name})
	if err != nil {
		return nil, fmt.Errorf("look for build: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	build := finishedBuild(namespace, rows[0])
	artifacts, err := s.queries.BuildArtifacts(ctx, build.UID)
	if err != nil {
		return nil, fmt.Errorf("read artifacts: %w", err)
	}
	build.Artifacts = convert(artifacts, func(row dbsqlc.BuildArtifactsRow) v1alpha1.Artifact {
		return v1alpha1.Artifact{Image: row.Image, Digest: row.Digest}
	})
	return build, nil
}

func finishedBuild(namespace string, row dbsqlc.RequestedBuildRow) *FinishedBuild {
	return &FinishedBuild{
		Build: trigger.Build{
			UID: row.BuildUid, Namespace: namespace, Name: row.BuildName, CiPipeline: row.CiPipeline, Revision: row.Revision, Ref: row.Ref,
			Cause: row.Cause, Phase: v1alpha1.BuildPhase(row.Phase), CreatedAt: row.CreatedAt.Time,
		},
		Place: placeOf(row.CreatedAt, row.Seq),
	}
}

// DeployedBefore returns the newest build that the pipeline deployed before the one that
// is deployed now, with the artifacts that it deployed of it, and the name of the one that
// is deployed; nil where there is none.
func (s *Store) DeployedBefore(ctx context.Context, pipeline PipelineRef) (before *FinishedBuild, deployed string, err error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	now, err := s.queries.DeployedBuild(ctx, pipeline.UID)
	if err != nil {
		return nil, "", fmt.Errorf("look for what is deployed: %w", err)
	}
	if len(now) == 0 {
		return nil, "", nil
	}
	rows, err := s.queries.BuildBefore(ctx, dbsqlc.BuildBeforeParams{PipelineUid: pipeline.UID, BuildUid: now[0].BuildUid})
	if err != nil {
		return nil, "", fmt.Errorf("look for what was deployed before: %w", err)
	}
	if len(rows) == 0 {
		return nil, now[0].BuildName, nil
	}
	before = finishedBuild(pipeline.Namespace, dbsqlc.RequestedBuildRow(rows[0]))
	artifacts, err := s.queries.DeployedOf(ctx, dbsqlc.DeployedOfParams{PipelineUid: pipeline.UID, BuildUid: before.UID})
	if err != nil {
		return nil, "", fmt.Errorf("read what was deployed before: %w", err)
	}
	before.Artifacts = convert(artifacts, func(row dbsqlc.DeployedOfRow) v1alpha1.Artifact {
		return v1alpha1.Artifact{Image: row.Image, Digest: row.Digest}
	})
	return before, now[0].BuildName, nil
}
