package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// ErrPlanBusy means that the plan of another build of the same CiPipeline is being committed
// in chunks: builds of one CiPipeline are planned one after the other.
var ErrPlanBusy = errors.New("another build of this CiPipeline is being planned in chunks")

// LargePlan is what is fixed with the first row of a plan that is committed in chunks.
type LargePlan struct {
	Build     trigger.Build
	Artifacts []v1alpha1.Artifact
	// Suspended tells whether the CiPipeline is.
	Suspended bool
	// Below are all pipelines below the build, its children first.
	Below []trigger.Descendant
}

// OpenPlan is a plan of which chunks are left.
type OpenPlan struct {
	Build     trigger.Build
	Suspended bool
	// Artifacts is how many the build has.
	Artifacts int
	// FilterCost is what filters have cost so far.
	FilterCost uint64
}

// PlanPipeline is one pipeline of a plan that is committed in chunks.
type PlanPipeline struct {
	place     int32
	UID, Name string
	// Generation is that of the pipeline when the plan began.
	Generation int64
	// RootUID and Root are the child of the build that it hangs below; empty for a child.
	RootUID, Root string
}

// Chunk is one transaction of a plan: children of the build with what was decided for them,
// or, without decisions, pipelines further below, for which the tables decide.
type Chunk struct {
	Build     trigger.Build
	Pipelines []PlanPipeline
	Decisions []trigger.Decision
	// FilterCost is what the build's filters have cost up to here.
	FilterCost uint64
}

// BeginPlan notes a large build and all pipelines below it, in one transaction. It returns
// false where the build is planned, or its plan has begun, and ErrPlanBusy.
func (s *Store) BeginPlan(ctx context.Context, plan LargePlan) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	begun := false
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		build := plan.Build
		noted, err := queries.BeginPlan(ctx, dbsqlc.BeginPlanParams(planBuildParams(build)))
		if err != nil {
			return err
		}
		if noted == 0 {
			return unlessPlanned(ctx, queries, build.UID)
		}
		inserted, err := queries.InsertPlan(ctx, dbsqlc.InsertPlanParams{
			BuildUid: build.UID, Namespace: build.Namespace, CiPipeline: build.CiPipeline, Suspended: plan.Suspended,
		})
		if err != nil || inserted == 0 {
			return err
		}
		begun = true
		if err := queries.InsertArtifacts(ctx, insertArtifacts(build.UID, plan.Artifacts)); err != nil {
			return err
		}
		return queries.InsertPlanPipelines(ctx, planPipelines(plan))
	})
	if err != nil {
		return false, fmt.Errorf("begin plan: %w", err)
	}
	return begun, nil
}

// unlessPlanned is ErrPlanBusy where neither the build is planned nor its plan has begun.
func unlessPlanned(ctx context.Context, queries *dbsqlc.Queries, buildUID string) error {
	planned, err := queries.BuildIsPlanned(ctx, buildUID)
	if err == nil && !planned {
		err = ErrPlanBusy
	}
	return err
}

func planPipelines(plan LargePlan) dbsqlc.InsertPlanPipelinesParams {
	params := dbsqlc.InsertPlanPipelinesParams{BuildUid: plan.Build.UID}
	for i, below := range plan.Below {
		params.Places = append(params.Places, int32(i))
		params.PipelineUids = append(params.PipelineUids, string(below.Pipeline.UID))
		params.Pipelines = append(params.Pipelines, below.Pipeline.Name)
		params.Generations = append(params.Generations, below.Pipeline.Generation)
		root, rootUID := "", ""
		if below.Root != nil {
			root, rootUID = below.Root.Name, string(below.Root.UID)
		}
		params.Roots, params.RootUids = append(params.Roots, root), append(params.RootUids, rootUID)
	}
	return params
}

// OpenPlans returns up to most plans of which chunks are left, the one first that has waited
// longest, but for those of these builds.
func (s *Store) OpenPlans(ctx context.Context, most int, passedOver []string) ([]OpenPlan, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.OpenPlans(ctx, dbsqlc.OpenPlansParams{
		Namespaces: s.namespaces, PassedOver: append([]string{}, passedOver...), Most: int32(most), //nolint:gosec // a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list plans under way: %w", err)
	}
	return convert(rows, func(row dbsqlc.OpenPlansRow) OpenPlan {
		return OpenPlan{
			Build: trigger.Build{
				UID: row.BuildUid, Namespace: row.Namespace, Name: row.BuildName, CiPipeline: row.CiPipeline,
				Revision: row.Revision, Ref: row.Ref, Cause: row.Cause, Phase: v1alpha1.BuildPhase(row.Phase), CreatedAt: row.CreatedAt.Time,
			},
			Suspended: row.Suspended, Artifacts: int(row.Artifacts), FilterCost: uint64(row.FilterCost), //nolint:gosec // a sum of costs
		}
	}), nil
}

// NextChunk returns up to most pipelines of what comes next of a plan: children of the build,
// or pipelines further below; none where nothing is left.
func (s *Store) NextChunk(ctx context.Context, buildUID string, most int) ([]PlanPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.NextChunk(ctx, dbsqlc.NextChunkParams{BuildUid: buildUID, Most: int32(most)}) //nolint:gosec // a batch size
	if err != nil {
		return nil, fmt.Errorf("read next chunk of plan: %w", err)
	}
	return convert(rows, func(row dbsqlc.NextChunkRow) PlanPipeline {
		return PlanPipeline{
			place: row.Place, UID: row.PipelineUid, Name: row.Pipeline, Generation: row.Generation, RootUID: row.RootUid, Root: row.Root,
		}
	}), nil
}

// Artifacts returns those of a build, in order.
func (s *Store) Artifacts(ctx context.Context, buildUID string) ([]v1alpha1.Artifact, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.BuildArtifacts(ctx, buildUID)
	if err != nil {
		return nil, fmt.Errorf("read artifacts: %w", err)
	}
	return convert(rows, func(row dbsqlc.BuildArtifactsRow) v1alpha1.Artifact {
		return v1alpha1.Artifact{Image: row.Image, Digest: row.Digest}
	}), nil
}

// CommitChunk commits a chunk, and with the last one that the build is planned; then last is
// true. It returns ErrStale, and writes nothing, where another worker was first.
func (s *Store) CommitChunk(ctx context.Context, chunk Chunk) (last bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	err = s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		c := &chunking{queries: queries, Chunk: chunk}
		if err := c.commit(ctx); err != nil {
			return err
		}
		last = c.last
		return failpoint.Error(failpoint.PlanBeforeChunk)
	})
	if err != nil {
		return false, fmt.Errorf("plan part of build: %w", err)
	}
	return last, nil
}

// chunking is one transaction that commits a chunk.
type chunking struct {
	Chunk
	queries *dbsqlc.Queries
	made    int
	last    bool
}

func (c *chunking) commit(ctx context.Context) error {
	uid := c.Build.UID
	plan, err := c.queries.LockPlan(ctx, uid)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrStale
	}
	if err != nil {
		return fmt.Errorf("lock plan: %w", err)
	}
	if plan.Planned { // as a whole, by another process that saw fewer pipelines
		c.last = true
		return c.queries.FinishPlan(ctx, uid)
	}
	taken, err := c.queries.TakeChunk(ctx, dbsqlc.TakeChunkParams{
		BuildUid: uid, Places: convert(c.Pipelines, func(p PlanPipeline) int32 { return p.place }),
	})
	if err != nil {
		return fmt.Errorf("take chunk: %w", err)
	}
	if int(taken) != len(c.Pipelines) {
		return ErrStale
	}
	if err := c.write(ctx, plan); err != nil {
		return err
	}
	left, err := c.queries.MovePlan(ctx, dbsqlc.MovePlanParams{
		BuildUid: uid, Runs: int32(c.made), FilterCost: int64(min(c.FilterCost, 1<<62)), //nolint:gosec // bounded
	})
	if err != nil || left > 0 {
		return err
	}
	c.last = true
	return c.queries.FinishPlan(ctx, uid)
}

// write decides on the turns of the chunk's pipelines, and inserts what is decided.
func (c *chunking) write(ctx context.Context, plan dbsqlc.LockPlanRow) error {
	if len(c.Pipelines) == 0 {
		return nil
	}
	if c.Pipelines[0].RootUID != "" {
		return c.insertBelow(ctx)
	}
	elapsed := time.Duration(plan.Elapsed * float64(time.Second))
	start := &start{build: c.Build, decisions: c.Decisions, ordinal: int(plan.Runs), elapsed: elapsed}
	if err := start.dropLost(ctx, c.queries); err != nil {
		return err
	}
	order, err := lockPipelines(ctx, c.queries, start.pipelines(), c.Build.UID)
	if err != nil {
		return err
	}
	start.join(order, placeOf(plan.CreatedAt, plan.Seq))
	if err := order.decide(ctx); err != nil {
		return err
	}
	err = start.insert(ctx, c.queries)
	c.made = len(start.made)
	return err
}

// insertBelow keeps the roots from ending meanwhile.
func (c *chunking) insertBelow(ctx context.Context) error {
	params := dbsqlc.InsertBelowParams{BuildUid: c.Build.UID}
	var roots []PipelineRef
	for _, pipeline := range c.Pipelines {
		params.Pipelines = append(params.Pipelines, pipeline.Name)
		params.PipelineUids = append(params.PipelineUids, pipeline.UID)
		params.RootUids = append(params.RootUids, pipeline.RootUID)
		if !slices.ContainsFunc(roots, func(root PipelineRef) bool { return root.UID == pipeline.RootUID }) {
			roots = append(roots, PipelineRef{UID: pipeline.RootUID, Namespace: c.Build.Namespace, Name: pipeline.Root})
		}
	}
	if _, err := lockPipelines(ctx, c.queries, roots, c.Build.UID); err != nil {
		return err
	}
	if err := c.queries.InsertBelow(ctx, params); err != nil {
		return fmt.Errorf("decide further below: %w", err)
	}
	return nil
}
