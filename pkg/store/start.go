package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// rowsAtOnce bounds the runs, or decisions, of one statement, and so the memory that it takes: each
// row is in it, in its encoded form and in a buffer of the connection.
const rowsAtOnce = 500

// start is what a transaction adds for one build: decisions, and the runs that start.
type start struct {
	build     trigger.Build
	decisions []trigger.Decision
	// request, where a person asked for the runs, gives them a turn of their own; asked
	// lets that be older than one that was taken.
	request string
	asked   bool
	// actor is who asked, and actorReason why.
	actor, actorReason string
	// from is the first stage; empty means each pipeline's own first.
	from trigger.Stage
	// again makes runs beside earlier ones of the same artifact; since is the run above that
	// they follow, where there is one.
	again bool
	since int64
	// alone means that the runs do not go on to the pipelines below.
	alone bool
	// below means that runs have ended which several of them may follow, one artifact each.
	below bool
	// reopened means that one of those runs was reopened: some of what follows may run already.
	reopened bool
	// ordinal is how many runs of the build are planned already, and elapsed since when, where
	// it is planned in chunks.
	ordinal int
	elapsed time.Duration

	known map[decisionKey]int  // where add has put its decisions
	turns map[string]*liveTurn // by pipeline
	// made are the numbers of the runs.
	made []int64
}

// decisionKey is what there is one decision for below one build.
type decisionKey struct {
	artifact v1alpha1.Artifact
	pipeline string
}

// add adds decisions, one for each artifact and pipeline: that a run starts counts more
// than that it does not, as where a run failed and its retry succeeded.
func (s *start) add(decisions []trigger.Decision) {
	if s.known == nil {
		s.known = map[decisionKey]int{}
	}
	for _, decision := range decisions {
		key := decisionKey{decision.Artifact, string(decision.Pipeline.UID)}
		i, known := s.known[key]
		switch {
		case !known:
			s.known[key] = len(s.decisions)
			s.decisions = append(s.decisions, decision)
		case s.decisions[i].Outcome != v1alpha1.OutcomeTriggered:
			s.decisions[i] = decision
		}
	}
}

// joinAll makes one run, in a pipeline that is given all artifacts, of those that follow
// the runs of each artifact above.
func (s *start) joinAll() {
	first := map[string]string{} // the image of the run, by pipeline
	for i := range s.decisions {
		decision := &s.decisions[i]
		if !decision.StartsRun() || artifactsMode(decision.Pipeline) != string(v1alpha1.ArtifactsAll) {
			continue
		}
		uid := string(decision.Pipeline.UID)
		if image, started := first[uid]; started {
			decision.Reason, decision.Message = v1alpha1.ReasonSameRun, "part of the run of "+image
			continue
		}
		first[uid] = decision.Artifact.Image
	}
}

// pipelines are those in which a run starts.
func (s *start) pipelines() []PipelineRef {
	var refs []PipelineRef
	for _, decision := range s.decisions {
		if decision.StartsRun() {
			refs = append(refs, pipelineRef(decision.Pipeline))
		}
	}
	return refs
}

// join finds or makes the turns of the runs, before the order is decided.
func (s *start) join(o *order, place trigger.Place) {
	s.turns = map[string]*liveTurn{}
	for _, decision := range s.decisions {
		uid := string(decision.Pipeline.UID)
		if !decision.StartsRun() || s.turns[uid] != nil {
			continue
		}
		held := s.hold(decision.Pipeline) != trigger.Hold{}
		s.turns[uid] = o.join(uid, liveTurn{
			buildUID: s.build.UID, request: s.request, Turn: trigger.Turn{Build: s.build.Name, Place: place, Asked: s.asked},
		}, held)
	}
}

// hold is what holds the first stage, but for the turn. A requested run waits for a person
// like any other: the right to trigger is not the right to approve.
func (s *start) hold(pipeline *v1alpha1.CdPipeline) trigger.Hold {
	first := trigger.Stages(pipeline, s.from)[0]
	return trigger.HoldOf(pipeline, first, false)
}

// insert writes the decisions, and the runs of those turns that were not overtaken.
func (s *start) insert(ctx context.Context, queries *dbsqlc.Queries) error {
	for uid, turn := range s.turns {
		if turn.State == trigger.TurnSuperseded {
			s.decisions = trigger.Overtaken(s.decisions, uid, trigger.OvertakenBy(turn.cause))
			delete(s.turns, uid)
		}
	}
	if err := s.insertTurns(ctx, queries); err != nil {
		return err
	}
	if err := s.insertRuns(ctx, queries); err != nil {
		return err
	}
	for some := range slices.Chunk(s.decisions, rowsAtOnce) {
		if err := queries.InsertDecisions(ctx, insertDecisions(s.build, some, s.actor, s.actorReason)); err != nil {
			return fmt.Errorf("insert decisions: %w", err)
		}
	}
	return nil
}

func (s *start) insertTurns(ctx context.Context, queries *dbsqlc.Queries) error {
	params := dbsqlc.InsertTurnsParams{BuildUid: s.build.UID, Request: s.request, Asked: s.asked}
	for uid, turn := range s.turns {
		if turn.id == 0 {
			params.PipelineUids, params.States = append(params.PipelineUids, uid), append(params.States, string(turn.State))
		}
	}
	if len(params.States) == 0 {
		return nil
	}
	rows, err := queries.InsertTurns(ctx, params)
	if err != nil {
		return fmt.Errorf("insert turns: %w", err)
	}
	var taken []int64
	for _, row := range rows {
		turn := s.turns[row.PipelineUid]
		turn.id = row.ID
		if turn.State == trigger.TurnActive {
			taken = append(taken, row.ID)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return queries.RaiseNewest(ctx, taken)
}

func (s *start) insertRuns(ctx context.Context, queries *dbsqlc.Queries) error {
	var runs []trigger.Decision
	for _, decision := range s.decisions {
		if decision.StartsRun() {
			runs = append(runs, decision)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	artifacts, err := artifactIDs(ctx, queries, s.build.UID)
	if err != nil {
		return err
	}
	for first := 0; first < len(runs); first += rowsAtOnce {
		if err := s.insertSome(ctx, queries, artifacts, runs[first:min(first+rowsAtOnce, len(runs))], s.ordinal+first); err != nil {
			return err
		}
	}
	return nil
}

func artifactIDs(ctx context.Context, queries *dbsqlc.Queries, buildUID string) (map[v1alpha1.Artifact]int64, error) {
	rows, err := queries.BuildArtifacts(ctx, buildUID)
	if err != nil {
		return nil, fmt.Errorf("read artifacts: %w", err)
	}
	ids := make(map[v1alpha1.Artifact]int64, len(rows))
	for _, row := range rows {
		ids[v1alpha1.Artifact{Image: row.Image, Digest: row.Digest}] = row.ID
	}
	return ids, nil
}

// madeRun is a run that was inserted, and what it is of.
type madeRun struct {
	id       int64
	number   int32
	ordinal  int
	decision trigger.Decision
}

// insertSome inserts runs with all their stages, each with its task.
func (s *start) insertSome(ctx context.Context, queries *dbsqlc.Queries, artifacts map[v1alpha1.Artifact]int64, runs []trigger.Decision, first int) error {
	params := dbsqlc.InsertRunsParams{
		BuildUid: s.build.UID, Namespace: s.build.Namespace, Cause: s.build.Cause, Descends: !s.alone, Again: s.again, Actor: s.actor,
	}
	type key struct {
		artifact int64
		pipeline string
	}
	index := make(map[key]madeRun, len(runs))
	for i, decision := range runs {
		pipeline := decision.Pipeline
		artifact, known := artifacts[decision.Artifact]
		if !known {
			return fmt.Errorf("artifact %s of build %s is not recorded", decision.Artifact.Image, s.build.Name)
		}
		number, err := s.number(ctx, queries, artifact, pipeline)
		if err != nil {
			return err
		}
		also, err := json.Marshal(s.also(decision))
		if err != nil {
			return fmt.Errorf("encode images: %w", err)
		}
		params.CiArtifactIds = append(params.CiArtifactIds, artifact)
		params.TurnIds = append(params.TurnIds, s.turns[string(pipeline.UID)].id)
		params.Pipelines = append(params.Pipelines, pipeline.Name)
		params.PipelineUids = append(params.PipelineUids, string(pipeline.UID))
		params.Runs = append(params.Runs, number)
		params.Artifacts = append(params.Artifacts, artifactsMode(pipeline))
		params.Also = append(params.Also, string(also))
		index[key{artifact, string(pipeline.UID)}] = madeRun{number: number, ordinal: first + i, decision: decision}
	}
	rows, err := queries.InsertRuns(ctx, params)
	if err != nil {
		return fmt.Errorf("insert runs: %w", err)
	}
	made := make([]madeRun, len(rows))
	for i, row := range rows {
		made[i] = index[key{row.CiArtifactID, row.PipelineUid}]
		made[i].id = row.ID
		s.made = append(s.made, row.ID)
	}
	return s.insertStages(ctx, queries, made)
}

// also are the other images of a run: those of its digest, or all that are given with it.
func (s *start) also(decision trigger.Decision) []string {
	images := append([]string{}, decision.Also...)
	if artifactsMode(decision.Pipeline) != string(v1alpha1.ArtifactsAll) {
		return images
	}
	for _, other := range s.decisions {
		if other.Pipeline.UID == decision.Pipeline.UID && other.Reason == v1alpha1.ReasonSameRun {
			images = append(images, other.Artifact.Image)
		}
	}
	return images
}

func artifactsMode(pipeline *v1alpha1.CdPipeline) string {
	if pipeline.Spec.Artifacts == v1alpha1.ArtifactsAll {
		return string(v1alpha1.ArtifactsAll)
	}
	return string(v1alpha1.ArtifactsEach)
}

// firstRun is the run that a parent's success starts; a rerun has a higher one.
const firstRun = 1

// number is the run's among those of its artifact, or of its build where that is given as
// a whole: the identity of such a run has no artifact in it.
func (s *start) number(ctx context.Context, queries *dbsqlc.Queries, artifact int64, pipeline *v1alpha1.CdPipeline) (int32, error) {
	all := artifactsMode(pipeline) == string(v1alpha1.ArtifactsAll)
	if !s.again && (!s.below || !all) {
		return firstRun, nil
	}
	rows, err := queries.RunNumbers(ctx, dbsqlc.RunNumbersParams{BuildUid: s.build.UID, PipelineUid: string(pipeline.UID)})
	if err != nil {
		return 0, fmt.Errorf("number runs: %w", err)
	}
	number, err := s.firstNumber(ctx, queries, pipeline)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if all || row.CiArtifactID == artifact {
			number = max(number, row.Run+1)
		}
	}
	return number, nil
}

// firstNumber is behind those of runs that may be lost: their Workflows would be taken for
// the new run's.
func (s *start) firstNumber(ctx context.Context, queries *dbsqlc.Queries, pipeline *v1alpha1.CdPipeline) (int32, error) {
	lost, err := queries.HasLostRuns(ctx, dbsqlc.HasLostRunsParams{BuildUid: s.build.UID, PipelineUid: string(pipeline.UID)})
	if err != nil {
		return 0, fmt.Errorf("look for lost runs: %w", err)
	}
	if lost {
		return firstRun + mostLost, nil
	}
	return firstRun, nil
}

func (s *start) insertStages(ctx context.Context, queries *dbsqlc.Queries, runs []madeRun) error {
	tasks := newTasks(s.actor)
	stages := dbsqlc.InsertStagesParams{Namespace: s.build.Namespace}
	var identities []string
	var point dbsqlc.PointToRunsParams
	for _, run := range runs {
		pipeline := run.decision.Pipeline
		point.PipelineUids, point.RunIds = append(point.PipelineUids, string(pipeline.UID)), append(point.RunIds, run.id)
		for i, stage := range trigger.Stages(pipeline, s.from) {
			task := s.task(run, stage)
			if i > 0 {
				task.status, task.hold, task.fair, task.since = StatusHeld, trigger.StageBeforeHold, 0, 0
			}
			identities = append(identities, tasks.add(task))
			stages.CdWorkflowIds = append(stages.CdWorkflowIds, run.id)
			stages.Stages = append(stages.Stages, string(stage))
		}
	}
	ids, err := tasks.insert(ctx, queries)
	if err != nil {
		return err
	}
	stages.TaskIds = convert(identities, func(identity string) int64 { return ids[identity] })
	if err := queries.InsertStages(ctx, stages); err != nil {
		return fmt.Errorf("insert stages: %w", err)
	}
	return queries.PointToRuns(ctx, point)
}

// task is that of a stage, as it is where the stage is the first.
func (s *start) task(run madeRun, stage trigger.Stage) stageTask {
	pipeline := run.decision.Pipeline
	task := stageTask{
		pipeline: pipelineRef(pipeline), buildUID: s.build.UID, number: run.number, attempt: 1,
		priority: pipeline.Spec.Priority, status: StatusPending, fair: run.ordinal, since: s.elapsed,
		inputs: trigger.Inputs{
			Build: s.build.Name, Revision: s.build.Revision, Image: run.decision.Artifact.Image, Digest: run.decision.Artifact.Digest,
			Stage: stage, Run: run.id, Cluster: trigger.ClusterOf(pipeline), All: pipeline.Spec.Artifacts == v1alpha1.ArtifactsAll,
			Actor: s.actor, ActorReason: s.actorReason,
		},
	}
	if s.request == "" {
		task.inputs.Parent = trigger.ParentOf(pipeline)
	}
	if hold := s.hold(pipeline); hold != (trigger.Hold{}) {
		task.status, task.hold = StatusHeld, hold
	} else if s.turns[string(pipeline.UID)].State != trigger.TurnActive {
		task.status, task.hold = StatusHeld, trigger.TurnHold
	}
	return task
}
