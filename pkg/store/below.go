package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

func (f *following) places(ctx context.Context) (map[string]trigger.Place, error) {
	places := map[string]trigger.Place{}
	if len(f.starts) == 0 {
		return places, nil
	}
	rows, err := f.queries.BuildPlaces(ctx, convert(f.starts, func(s *start) string { return s.build.UID }))
	if err != nil {
		return nil, fmt.Errorf("read places of builds: %w", err)
	}
	for _, row := range rows {
		places[row.BuildUid] = placeOf(row.CreatedAt, row.Seq)
	}
	return places, nil
}

// dropStarted leaves out what runs already, and what waits for it: a pipeline with a run of
// the artifact may have been hung below another parent meanwhile, and those below it were
// decided on with that run.
func (f *following) dropStarted(ctx context.Context, below *start) error {
	if below.reopened {
		return f.dropTriggered(ctx, below)
	}
	uids := convert(below.pipelines(), func(ref PipelineRef) string { return ref.UID })
	if len(uids) == 0 {
		return nil
	}
	started, err := f.started(ctx, below, uids)
	if err != nil {
		return fmt.Errorf("look for runs below: %w", err)
	}
	below.decisions = slices.DeleteFunc(below.decisions, func(decision trigger.Decision) bool {
		uid := decision.WaitsFor
		if decision.StartsRun() {
			uid = string(decision.Pipeline.UID)
		}
		return started[dbsqlc.RunsOfBuildRow{PipelineUid: uid, Image: decision.Artifact.Image, Digest: decision.Artifact.Digest}]
	})
	return nil
}

// started are the artifacts of the build that the pipelines run already. Below a run that a
// person asked for, only runs that are newer than that count.
func (f *following) started(ctx context.Context, below *start, uids []string) (map[dbsqlc.RunsOfBuildRow]bool, error) {
	started := map[dbsqlc.RunsOfBuildRow]bool{}
	if below.again {
		rows, err := f.queries.RunsSince(ctx, dbsqlc.RunsSinceParams{BuildUid: below.build.UID, PipelineUids: uids, RunID: below.since})
		for _, row := range rows {
			started[dbsqlc.RunsOfBuildRow(row)] = true
		}
		return started, err
	}
	rows, err := f.queries.RunsOfBuild(ctx, dbsqlc.RunsOfBuildParams{BuildUid: below.build.UID, PipelineUids: uids})
	for _, row := range rows {
		started[row] = true
	}
	return started, err
}

// dropTriggered leaves out, below a parent that was reopened, the pipelines that were
// triggered when it ended before, and what is below those: that follows them.
func (f *following) dropTriggered(ctx context.Context, below *start) error {
	rows, err := f.queries.TriggeredBelow(ctx, dbsqlc.TriggeredBelowParams{
		BuildUid:     below.build.UID,
		PipelineUids: convert(below.decisions, func(decision trigger.Decision) string { return string(decision.Pipeline.UID) }),
	})
	if err != nil {
		return fmt.Errorf("look for what was triggered below: %w", err)
	}
	triggered := make(map[dbsqlc.TriggeredBelowRow]bool, len(rows))
	for _, row := range rows {
		triggered[row] = true
	}
	type key struct {
		pipeline string
		artifact v1alpha1.Artifact
	}
	goesOn := map[key]bool{} // parents come before their children
	below.decisions = slices.DeleteFunc(below.decisions, func(decision trigger.Decision) bool {
		pipeline, artifact := decision.Pipeline, decision.Artifact
		parent := pipeline.Spec.ParentRef
		follows := parent.Kind == v1alpha1.ParentCdPipeline && goesOn[key{parent.Name, artifact}]
		if follows || triggered[dbsqlc.TriggeredBelowRow{PipelineUid: string(pipeline.UID), Image: artifact.Image, Digest: artifact.Digest}] {
			goesOn[key{pipeline.Name, artifact}] = true
		}
		return goesOn[key{pipeline.Name, artifact}]
	})
	return nil
}

// settleWaiting settles what waited for runs that have ended, and was not decided anew.
func (f *following) settleWaiting(ctx context.Context) error {
	var params dbsqlc.SettleWaitingParams
	for _, consequence := range f.consequences {
		if consequence.Outcome == "" || !consequence.Ended.Descends {
			continue
		}
		for _, artifact := range consequence.Ended.Artifacts {
			params.BuildUids = append(params.BuildUids, consequence.Ended.Build.UID)
			params.PipelineUids = append(params.PipelineUids, consequence.Ended.PipelineUID)
			params.Pipelines = append(params.Pipelines, consequence.Ended.Pipeline)
			params.Images = append(params.Images, artifact.Image)
			params.Digests = append(params.Digests, artifact.Digest)
		}
	}
	if len(params.BuildUids) == 0 {
		return nil
	}
	if err := f.queries.SettleWaiting(ctx, params); err != nil {
		return fmt.Errorf("settle decisions that waited: %w", err)
	}
	return nil
}

// startBelow inserts what goes on below.
func (f *following) startBelow(ctx context.Context) error {
	slices.SortFunc(f.starts, func(a, b *start) int { return cmp.Compare(a.build.UID, b.build.UID) })
	for _, below := range f.starts {
		if err := below.insert(ctx, f.queries); err != nil {
			return err
		}
	}
	return nil
}
