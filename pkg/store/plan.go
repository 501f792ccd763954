package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// BuildPlan is all that is committed when a build finished.
type BuildPlan struct {
	Build     trigger.Build
	Artifacts []v1alpha1.Artifact
	Decisions []trigger.Decision
}

// IsPlanned tells whether the build's plan is committed, or has begun to be in chunks.
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

// Plan commits a build's artifacts, one run with all its stages for each decision that
// starts one, and every decision, in one transaction. A run whose pipeline a newer build
// had already is not started, and its decision says so. Plan returns false, and writes
// nothing, where the build was planned before, or its plan has begun in chunks, and
// ErrPlanBusy.
func (s *Store) Plan(ctx context.Context, plan BuildPlan) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	planned := false
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		noted, err := queries.PlanBuild(ctx, planBuildParams(plan.Build))
		if errors.Is(err, pgx.ErrNoRows) {
			return unlessPlanned(ctx, queries, plan.Build.UID)
		}
		if err != nil {
			return err
		}
		planned = true
		if err := queries.InsertArtifacts(ctx, insertArtifacts(plan.Build.UID, plan.Artifacts)); err != nil {
			return err
		}
		start := &start{build: plan.Build, decisions: plan.Decisions}
		if noted.Decided {
			if err := start.dropLost(ctx, queries); err != nil {
				return err
			}
		}
		order, err := lockPipelines(ctx, queries, start.pipelines(), plan.Build.UID)
		if err != nil {
			return err
		}
		start.join(order, trigger.Place{CreatedAt: plan.Build.CreatedAt, Seq: noted.Seq})
		if err := order.decide(ctx); err != nil {
			return err
		}
		if err := start.insert(ctx, queries); err != nil {
			return err
		}
		return failpoint.Error(failpoint.PlanBeforeCommit)
	})
	if err != nil {
		return false, fmt.Errorf("plan build: %w", err)
	}
	return planned, nil
}

func planBuildParams(build trigger.Build) dbsqlc.PlanBuildParams {
	return dbsqlc.PlanBuildParams{
		BuildUid: build.UID, Namespace: build.Namespace, BuildName: build.Name,
		CiPipeline: build.CiPipeline, Revision: clean(build.Revision), Ref: clean(build.Ref), Cause: build.Cause,
		Phase: string(build.Phase), CreatedAt: timestamp(build.CreatedAt),
	}
}

// timestamp is minus infinity for the zero time, which is before all others.
func timestamp(at time.Time) pgtype.Timestamptz {
	if at.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: at, Valid: true}
}

func insertArtifacts(buildUID string, artifacts []v1alpha1.Artifact) dbsqlc.InsertArtifactsParams {
	params := dbsqlc.InsertArtifactsParams{BuildUid: buildUID}
	for _, artifact := range artifacts {
		params.Images = append(params.Images, artifact.Image)
		params.Digests = append(params.Digests, artifact.Digest)
	}
	return params
}

func insertDecisions(build trigger.Build, decisions []trigger.Decision, actor, actorReason string) dbsqlc.InsertDecisionsParams {
	params := dbsqlc.InsertDecisionsParams{BuildUid: build.UID, Actor: actor, ActorReason: actorReason}
	for _, decision := range decisions {
		params.Images = append(params.Images, decision.Artifact.Image)
		params.Digests = append(params.Digests, decision.Artifact.Digest)
		params.Pipelines = append(params.Pipelines, decision.Pipeline.Name)
		params.PipelineUids = append(params.PipelineUids, string(decision.Pipeline.UID))
		params.Outcomes = append(params.Outcomes, string(decision.Outcome))
		params.Reasons = append(params.Reasons, string(decision.Reason))
		params.Messages = append(params.Messages, clean(decision.Message))
		params.WaitsFors = append(params.WaitsFors, decision.WaitsFor)
	}
	return params
}
