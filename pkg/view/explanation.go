package view

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// maxExplained is how many decisions of its last build a pipeline is explained by.
const maxExplained = 50

// ExplainBuild returns what an explanation of a build needs, with up to limit decisions behind
// one of them, and the last of these. It returns ErrNotFound where the build is not known.
func (v *View) ExplainBuild(ctx context.Context, namespace, name string, after int64, limit int) (build explain.BuildFacts, pipelines []explain.Facts, last Decision, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	build = explain.BuildFacts{Namespace: namespace}
	if build.Build, err = v.BuildByName(ctx, namespace, name); err != nil {
		return build, nil, last, err
	}
	decisions, err := v.Decisions(ctx, build.Build, after, limit)
	if err != nil {
		return build, nil, last, err
	}
	e := &explanation{View: v, namespace: namespace, buildUID: build.Build.UID, decisions: decisions}
	if err := e.read(ctx); err != nil {
		return build, nil, last, err
	}
	build.Now, build.Controller, build.Decisions = e.now, e.controllerOf(laneCi), len(decisions) > 0 || after > 0
	if err := e.addBuildTask(ctx, &build); err != nil {
		return build, nil, last, err
	}
	if len(decisions) > 0 {
		last = decisions[len(decisions)-1]
	}
	return build, e.facts(), last, nil
}

// ExplainPipeline returns how a pipeline stands, and what an explanation needs of the last build
// that was decided on there. It returns ErrNotFound where there never was such a pipeline.
func (v *View) ExplainPipeline(ctx context.Context, namespace, name string) (standing explain.Standing, pipelines []explain.Facts, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	row, err := only(v.queries.ExplainPipeline(ctx, dbsqlc.ExplainPipelineParams{Namespace: namespace, Pipeline: name}))
	if err != nil {
		return standing, nil, fmt.Errorf("read pipeline %s: %w", name, err)
	}
	standing = explain.Standing{
		Namespace: namespace, Pipeline: row.Pipeline, Parent: explain.Parent{Kind: row.ParentKind, Name: row.ParentName, Exists: row.HasParent},
		Suspended: row.Suspended, Held: row.Held, DeletedAt: at(row.DeletedAt),
	}
	rows, err := v.queries.ExplainNewestDecisions(ctx, dbsqlc.ExplainNewestDecisionsParams{PipelineUid: row.PipelineUid, Most: maxExplained})
	if err != nil {
		return standing, nil, fmt.Errorf("read decisions on pipeline %s: %w", name, err)
	}
	e := &explanation{View: v, namespace: namespace}
	if err := e.hear(ctx); err != nil {
		return standing, nil, err
	}
	standing.Frozen = e.frozen()
	if len(rows) == 0 {
		return standing, []explain.Facts{{Namespace: namespace, Pipeline: row.Pipeline, Parent: standing.Parent}}, nil
	}
	e.buildUID = rows[0].BuildUid
	for _, decision := range rows {
		if decision.BuildUid == e.buildUID {
			e.decisions = append([]Decision{decisionOf(decision)}, e.decisions...)
		}
	}
	if err := e.read(ctx); err != nil {
		return standing, nil, err
	}
	return standing, e.facts(), nil
}

// ExplainRun returns what an explanation of a run needs. Where the run is not known it returns
// ErrNotFound, and the highest number that a run has had.
func (v *View) ExplainRun(ctx context.Context, namespace string, id int64) (facts explain.Facts, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	row, err := only(v.queries.ExplainDecisionOfRun(ctx, dbsqlc.ExplainDecisionOfRunParams{RunID: id, Namespace: namespace}))
	if err != nil {
		if last, lastErr := v.queries.ExplainLastRun(ctx); lastErr == nil {
			return facts, last, fmt.Errorf("read run %d: %w", id, err)
		}
		return facts, 0, fmt.Errorf("read run %d: %w", id, err)
	}
	e := &explanation{View: v, namespace: namespace, buildUID: row.BuildUid, run: id, decisions: []Decision{decisionOf(dbsqlc.ExplainNewestDecisionsRow(row))}}
	if err := e.read(ctx); err != nil {
		return facts, 0, err
	}
	return e.facts()[0], 0, nil
}

func decisionOf(row dbsqlc.ExplainNewestDecisionsRow) Decision {
	return Decision{ID: row.ID, PipelineUID: row.PipelineUid, WaitsFor: row.WaitsFor, Decision: rest.Decision{
		Build: row.BuildName, Pipeline: row.Pipeline, Image: row.Image, Digest: row.Digest,
		Outcome: row.Outcome, Reason: row.Reason, Message: row.Message, At: when(row.DecidedAt),
	}}
}

// addBuildTask adds the task of a build that runs here.
func (e *explanation) addBuildTask(ctx context.Context, build *explain.BuildFacts) error {
	if build.Build.PlannedAt != nil && len(e.decisions) > 0 {
		return nil // what it came to is told by its pipelines
	}
	suspended, err := e.queries.ExplainCiPipeline(ctx, dbsqlc.ExplainCiPipelineParams{Namespace: e.namespace, Pipeline: build.Build.Pipeline})
	if err != nil {
		return fmt.Errorf("read CiPipeline %s: %w", build.Build.Pipeline, err)
	}
	build.Suspended = len(suspended) > 0 && suspended[0]
	rows, err := e.queries.ExplainBuildTask(ctx, e.buildUID)
	if err != nil {
		return fmt.Errorf("read the task of build %s: %w", build.Build.Name, err)
	}
	for _, row := range rows {
		shut, err := shutLanes(ctx, e.queries, slices.Values([]string{row.Cluster}))
		if err != nil {
			return err
		}
		build.Stage = &rest.Stage{
			Stage: "BUILD", Attempt: 1, State: row.Status, Reason: row.Reason, Message: row.Message, WorkflowName: row.WorkflowName,
			QueuedAt: at(row.QueuedAt), SubmittedAt: at(row.SubmittedAt),
		}
		build.Task = explain.Task{
			DelayedBy: row.DelayedBy, Failures: int(row.Failures), NextAt: since(row.AvailableAt), ChangedAt: when(row.ChangedAt), Stopping: row.StopReason != "", TurnOf: row.TurnOf,
			Cluster: row.Cluster, Shut: shut[row.Cluster],
		}
		if row.Status == pending && row.DelayedBy == "" {
			places, err := e.places(ctx, lane{row.Kind, row.Cluster}, []int64{row.TaskID})
			if err != nil {
				return err
			}
			build.Task.Ahead, build.Task.Most = places(row.TaskID), maxAhead
		}
	}
	return nil
}

// since is the zero time for the epoch, which stands for no time.
func since(stamp timestamp) time.Time {
	if known := when(stamp); known.Unix() > 0 {
		return known
	}
	return time.Time{}
}
