package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// LostRun is a run that the status of a CdPipeline tells of.
type LostRun struct {
	Run      int64
	Build    trigger.Build
	Pipeline *v1alpha1.CdPipeline
	// Artifacts are the run's own, and others of the build that may have had a run.
	Artifacts []v1alpha1.Artifact
}

// mostLost is how many numbers of runs are left free for those of a build of which nobody
// knows: trigger.FindIdentity still tries the one behind them.
const mostLost = 10

// LostRuns returns those of the runs that the tables do not know, nor that they are lost.
func (s *Store) LostRuns(ctx context.Context, told []LostRun) ([]LostRun, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	var params dbsqlc.LostRunsParams
	for place, run := range told {
		params.RunIds, params.Places = append(params.RunIds, run.Run), append(params.Places, int32(place))
		params.PipelineUids, params.BuildUids = append(params.PipelineUids, string(run.Pipeline.UID)), append(params.BuildUids, run.Build.UID)
		params.BuildNames = append(params.BuildNames, run.Build.Name)
		params.Images, params.Digests = append(params.Images, run.Artifacts[0].Image), append(params.Digests, run.Artifacts[0].Digest)
	}
	places, err := s.queries.LostRuns(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("look for lost runs: %w", err)
	}
	return convert(places, func(place int32) LostRun { return told[place] }), nil
}

// NoteLost records that the pipeline was triggered for the build, that the build has had its
// turn, and that the run's number is taken. Nothing is triggered by that, now or later.
func (s *Store) NoteLost(ctx context.Context, lost LostRun) error {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	decisions := convert(lost.Artifacts, func(artifact v1alpha1.Artifact) trigger.Decision {
		return trigger.Decision{
			Artifact: artifact, Pipeline: lost.Pipeline, Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonRecordsLost,
			Message: fmt.Sprintf("run %d is not in the database: create a RunRequest with action Trigger to run it again", lost.Run),
		}
	})
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		if err := queries.EnsureBuild(ctx, dbsqlc.EnsureBuildParams(planBuildParams(lost.Build))); err != nil {
			return err
		}
		ref := pipelineRef(lost.Pipeline)
		if _, err := lockPipelines(ctx, queries, []PipelineRef{ref}, lost.Build.UID); err != nil {
			return err
		}
		if err := queries.NoteTurn(ctx, dbsqlc.NoteTurnParams{PipelineUid: ref.UID, BuildUid: lost.Build.UID}); err != nil {
			return err
		}
		if err := queries.SkipRunIDs(ctx, lost.Run); err != nil {
			return err
		}
		if err := queries.InsertDecisions(ctx, insertDecisions(lost.Build, decisions, adoptedActor, "")); err != nil {
			return err
		}
		return queries.MarkLost(ctx, dbsqlc.MarkLostParams{
			BuildUid: lost.Build.UID, Image: lost.Artifacts[0].Image, Digest: lost.Artifacts[0].Digest, PipelineUid: ref.UID,
			Message: decisions[0].Message, Actor: adoptedActor,
		})
	})
	if err != nil {
		return fmt.Errorf("note lost run: %w", err)
	}
	return nil
}

// NoteBuild notes a build whose plan is lost, with its artifacts, so that runs can be made of
// it. It stays one that was not planned.
func (s *Store) NoteBuild(ctx context.Context, build trigger.Build, artifacts []v1alpha1.Artifact) (*FinishedBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	noted := &FinishedBuild{Build: build, Artifacts: artifacts}
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		if err := queries.EnsureBuild(ctx, dbsqlc.EnsureBuildParams(planBuildParams(build))); err != nil {
			return err
		}
		if err := queries.InsertArtifacts(ctx, insertArtifacts(build.UID, artifacts)); err != nil {
			return err
		}
		places, err := queries.BuildPlaces(ctx, []string{build.UID})
		if err == nil && len(places) > 0 {
			noted.Place = placeOf(places[0].CreatedAt, places[0].Seq)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("note build: %w", err)
	}
	return noted, nil
}

// dropLost leaves out the runs of a build that is planned now and that are noted as lost, since
// nothing is triggered for them again. What would wait for one is skipped.
func (s *start) dropLost(ctx context.Context, queries *dbsqlc.Queries) error {
	uids := convert(s.pipelines(), func(ref PipelineRef) string { return ref.UID })
	if len(uids) == 0 {
		return nil
	}
	rows, err := queries.RunsOfBuild(ctx, dbsqlc.RunsOfBuildParams{BuildUid: s.build.UID, PipelineUids: uids})
	if err != nil {
		return fmt.Errorf("look for lost runs: %w", err)
	}
	isLost := func(uid string, artifact v1alpha1.Artifact) bool {
		return slices.Contains(rows, dbsqlc.RunsOfBuildRow{PipelineUid: uid, Image: artifact.Image, Digest: artifact.Digest})
	}
	s.decisions = slices.DeleteFunc(s.decisions, func(decision trigger.Decision) bool {
		return decision.StartsRun() && isLost(string(decision.Pipeline.UID), decision.Artifact)
	})
	for i := range s.decisions {
		if decision := &s.decisions[i]; decision.WaitsFor != "" && isLost(decision.WaitsFor, decision.Artifact) {
			decision.Outcome, decision.Reason, decision.WaitsFor = v1alpha1.OutcomeSkipped, v1alpha1.ReasonRecordsLost, ""
			decision.Message = "the run above that it would wait for is not in the database: create a RunRequest with action Trigger to run it"
		}
	}
	return nil
}
