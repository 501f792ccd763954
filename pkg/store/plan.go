package store

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// FairQuantum is how far apart, in the queue's order, the runs of one build
// stand: a later build overtakes all but the first few of an earlier, larger one.
const FairQuantum = time.Second

// BuildPlan is all that is committed when a build finished.
type BuildPlan struct {
	Build     trigger.Build
	Artifacts []v1alpha1.Artifact
	Decisions []trigger.Decision
}

// IsPlanned tells whether the build's plan is committed.
func (s *Store) IsPlanned(ctx context.Context, buildUID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	planned, err := s.queries.BuildIsPlanned(ctx, buildUID)
	if err != nil {
		return false, fmt.Errorf("look for plan of build: %w", err)
	}
	return planned, nil
}

// Planned returns those of the builds whose plan is committed.
func (s *Store) Planned(ctx context.Context, buildUIDs []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	planned, err := s.queries.PlannedBuilds(ctx, buildUIDs)
	if err != nil {
		return nil, fmt.Errorf("look for plans of builds: %w", err)
	}
	return planned, nil
}

// Plan commits a build's artifacts, one run with its first stage for each
// decision that triggers, and every decision, in one transaction. It returns
// false, and writes nothing, where the build was planned before.
func (s *Store) Plan(ctx context.Context, plan BuildPlan) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	planned := false
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		inserted, err := queries.InsertBuild(ctx, insertBuild(plan.Build))
		if err != nil || inserted == 0 {
			return err
		}
		planned = true
		if err := queries.InsertArtifacts(ctx, insertArtifacts(plan)); err != nil {
			return err
		}
		if err := insertDecided(ctx, queries, plan.Build, plan.Decisions); err != nil {
			return err
		}
		return failpoint.Error(failpoint.PlanBeforeCommit)
	})
	if err != nil {
		return false, fmt.Errorf("plan build: %w", err)
	}
	return planned, nil
}

// insertDecided writes the runs that decisions trigger, then the decisions.
func insertDecided(ctx context.Context, queries *dbsqlc.Queries, build trigger.Build, decisions []trigger.Decision) error {
	if len(decisions) == 0 {
		return nil
	}
	runs := insertRuns(build, decisions)
	for first := 0; first < len(runs.Stages); first += runsAtOnce {
		if err := queries.InsertRuns(ctx, chunk(runs, first, min(first+runsAtOnce, len(runs.Stages)))); err != nil {
			return err
		}
	}
	return queries.InsertDecisions(ctx, insertDecisions(build, decisions))
}

// runsAtOnce bounds the rows of one statement. It joins them to themselves, which
// Postgres may do row by row: the time grows with the square.
const runsAtOnce = 500

func chunk(all dbsqlc.InsertRunsParams, from, to int) dbsqlc.InsertRunsParams {
	some := all
	some.Images, some.Digests = all.Images[from:to], all.Digests[from:to]
	some.Pipelines, some.PipelineUids = all.Pipelines[from:to], all.PipelineUids[from:to]
	some.Stages, some.WorkflowNames = all.Stages[from:to], all.WorkflowNames[from:to]
	some.Priorities, some.Ordinals = all.Priorities[from:to], all.Ordinals[from:to]
	return some
}

func insertBuild(build trigger.Build) dbsqlc.InsertBuildParams {
	return dbsqlc.InsertBuildParams{
		BuildUid: build.UID, Namespace: build.Namespace, BuildName: build.Name,
		CiPipeline: build.CiPipeline, Revision: clean(build.Revision), Cause: build.Cause,
		Phase: string(build.Phase),
	}
}

func insertArtifacts(plan BuildPlan) dbsqlc.InsertArtifactsParams {
	params := dbsqlc.InsertArtifactsParams{BuildUid: plan.Build.UID}
	for _, artifact := range plan.Artifacts {
		params.Images = append(params.Images, artifact.Image)
		params.Digests = append(params.Digests, artifact.Digest)
	}
	return params
}

// firstRun is the run that a parent's success starts; a rerun has a higher one.
const firstRun = 1

func insertRuns(build trigger.Build, decisions []trigger.Decision) dbsqlc.InsertRunsParams {
	params := dbsqlc.InsertRunsParams{BuildUid: build.UID, Cause: build.Cause, Quantum: interval(FairQuantum)}
	for _, decision := range decisions {
		if decision.Outcome != v1alpha1.OutcomeTriggered {
			continue
		}
		pipeline, stage := decision.Pipeline, trigger.FirstStage(decision.Pipeline)
		identity := trigger.Identity{
			BuildUID: build.UID, Image: decision.Artifact.Image, Digest: decision.Artifact.Digest,
			PipelineUID: string(pipeline.UID), Run: firstRun, Stage: stage,
		}
		params.Ordinals = append(params.Ordinals, int32(len(params.Ordinals))) //nolint:gosec // bounded by the plan's size
		params.Images = append(params.Images, decision.Artifact.Image)
		params.Digests = append(params.Digests, decision.Artifact.Digest)
		params.Pipelines = append(params.Pipelines, pipeline.Name)
		params.PipelineUids = append(params.PipelineUids, string(pipeline.UID))
		params.Stages = append(params.Stages, string(stage))
		params.WorkflowNames = append(params.WorkflowNames, trigger.WorkflowName(pipeline.Name, identity))
		params.Priorities = append(params.Priorities, pipeline.Spec.Priority)
	}
	return params
}

func insertDecisions(build trigger.Build, decisions []trigger.Decision) dbsqlc.InsertDecisionsParams {
	params := dbsqlc.InsertDecisionsParams{BuildUid: build.UID}
	for _, decision := range decisions {
		params.Images = append(params.Images, decision.Artifact.Image)
		params.Digests = append(params.Digests, decision.Artifact.Digest)
		params.Pipelines = append(params.Pipelines, decision.Pipeline.Name)
		params.PipelineUids = append(params.PipelineUids, string(decision.Pipeline.UID))
		params.Outcomes = append(params.Outcomes, string(decision.Outcome))
		params.Reasons = append(params.Reasons, string(decision.Reason))
		params.Messages = append(params.Messages, clean(decision.Message))
	}
	return params
}
