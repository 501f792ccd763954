package view

import (
	"context"
	"fmt"
	"math"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Build is a build and its place in the order in which builds were first seen.
type Build struct {
	rest.Build

	Seq int64
}

// BuildFilter selects builds. The zero value of a field selects all.
type BuildFilter struct {
	Namespace   string // required
	Pipeline    string
	Application string
	Phase       string
	// Before is the Seq of the build behind which the page begins.
	Before int64
	Limit  int
}

// Builds returns a page of builds, the newest first.
func (v *View) Builds(ctx context.Context, filter BuildFilter) ([]Build, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	uids, err := v.buildUIDs(ctx, filter)
	if err != nil {
		return nil, err
	}
	return v.builds(ctx, uids)
}

func (v *View) buildUIDs(ctx context.Context, filter BuildFilter) ([]string, error) {
	if filter.Before == 0 {
		filter.Before = math.MaxInt64
	}
	if filter.Pipeline == "" && filter.Application == "" {
		uids, err := v.queries.ViewBuilds(ctx, dbsqlc.ViewBuildsParams{
			Namespace: filter.Namespace, Before: filter.Before, Phase: filter.Phase, Most: most(filter.Limit),
		})
		if err != nil {
			return nil, fmt.Errorf("list builds: %w", err)
		}
		return uids, nil
	}
	pipelines := []string{filter.Pipeline}
	if filter.Application != "" {
		of, err := v.queries.ViewCiPipelinesOfApplication(ctx, dbsqlc.ViewCiPipelinesOfApplicationParams{
			Namespace: filter.Namespace, Application: filter.Application, Most: maxPipelines,
		})
		if err != nil {
			return nil, fmt.Errorf("list CI pipelines of application %s: %w", filter.Application, err)
		}
		pipelines = intersect(of, filter.Pipeline)
	}
	uids, err := v.queries.ViewBuildsOfPipelines(ctx, dbsqlc.ViewBuildsOfPipelinesParams{
		Namespace: filter.Namespace, Pipelines: pipelines, Before: filter.Before, Phase: filter.Phase, Most: most(filter.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list builds: %w", err)
	}
	return uids, nil
}

// intersect returns those of the names that are the one asked for; all where that is empty.
func intersect(names []string, one string) []string {
	kept := []string{}
	for _, name := range names {
		if one == "" || name == one {
			kept = append(kept, name)
		}
	}
	return kept
}

// BuildByName returns the newest build of a name, or ErrNotFound.
func (v *View) BuildByName(ctx context.Context, namespace, name string) (rest.Build, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	uid, err := only(v.queries.ViewBuildUID(ctx, dbsqlc.ViewBuildUIDParams{Namespace: namespace, BuildName: name}))
	if err != nil {
		return rest.Build{}, fmt.Errorf("read build %s: %w", name, err)
	}
	builds, err := v.builds(ctx, []string{uid})
	if err != nil {
		return rest.Build{}, err
	}
	if len(builds) == 0 {
		return rest.Build{}, fmt.Errorf("read build %s: %w", name, ErrNotFound)
	}
	return builds[0].Build, nil
}

// builds returns builds, the newest first.
func (v *View) builds(ctx context.Context, uids []string) ([]Build, error) {
	if len(uids) == 0 {
		return []Build{}, nil
	}
	rows, err := v.queries.ViewBuildRows(ctx, uids)
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	artifacts, err := v.queries.ViewArtifacts(ctx, uids)
	if err != nil {
		return nil, fmt.Errorf("read artifacts: %w", err)
	}
	of := map[string][]rest.Artifact{}
	for _, row := range artifacts {
		of[row.BuildUid] = append(of[row.BuildUid], rest.Artifact{Image: row.Image, Digest: row.Digest})
	}
	builds := make([]Build, len(rows))
	for i, row := range rows {
		builds[i] = Build{Seq: row.Seq, Build: rest.Build{
			Name: row.BuildName, UID: row.BuildUid, Pipeline: row.CiPipeline, Application: row.Application,
			Revision: row.Revision, Cause: row.Cause, Phase: row.Phase, Artifacts: append([]rest.Artifact{}, of[row.BuildUid]...),
			Runs: rest.RunCounts{
				Total: row.Total, Active: row.Active, Succeeded: row.Succeeded, Failed: row.Failed, Cancelled: row.Cancelled, Superseded: row.Superseded,
			},
			CreatedAt: at(row.CreatedAt), PlannedAt: at(row.PlannedAt), DeletedAt: at(row.DeletedAt),
		}}
	}
	return builds, nil
}

// Decision is a decision and its number, which orders those of a build.
type Decision struct {
	rest.Decision

	ID int64
	// PipelineUID is the pipeline's, and WaitsFor that of the pipeline whose run is waited for.
	PipelineUID, WaitsFor string
}

// Decisions returns up to limit decisions of a build, in their order, behind one of them.
func (v *View) Decisions(ctx context.Context, build rest.Build, after int64, limit int) ([]Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewDecisions(ctx, dbsqlc.ViewDecisionsParams{BuildUid: build.UID, After: after, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	decisions := make([]Decision, len(rows))
	for i, row := range rows {
		decisions[i] = Decision{ID: row.ID, PipelineUID: row.PipelineUid, WaitsFor: row.WaitsFor, Decision: rest.Decision{
			Build: build.Name, Pipeline: row.Pipeline, Image: row.Image, Digest: row.Digest,
			Outcome: row.Outcome, Reason: row.Reason, Message: row.Message, At: when(row.DecidedAt),
		}}
	}
	return decisions, nil
}
