package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// ErrStale means that another worker has committed part of a batch first: read
// again and retry.
var ErrStale = errors.New("stages were followed by another worker meanwhile")

// Ended is a stage that has ended and whose consequence is not committed.
type Ended struct {
	// ID is the task's.
	ID      int64
	StageID int64
	RunID   int64
	TurnID  int64
	Stage   trigger.Stage
	// Attempt counts the Workflows of the stage from 1 on.
	Attempt int32
	Status  Status
	Reason  v1alpha1.Reason
	Message string
	// Stopped tells that somebody wants the run to end here.
	Stopped     bool
	HadWorkflow bool
	Priority    int32
	Namespace   string
	Pipeline    string
	PipelineUID string
	// Number is the run's among those of its artifact.
	Number int32
	// Artifacts are those that the run was given, at least one.
	Artifacts []v1alpha1.Artifact
	All       bool
	// Descends tells whether the pipelines below follow; Again whether they do although they
	// ran for these artifacts before, since a person asked for the run, or for one above.
	Descends, Again bool
	// Parent is what triggered the run; empty where a person asked for it.
	Parent string
	// Cluster is where the run's Workflows are; empty at home.
	Cluster string
	// Actor is who has asked for the stage, and ActorReason why; empty where nobody has.
	Actor, ActorReason string
	// RunActor is who has asked for the run, or for one above it; empty where nobody has.
	RunActor string
	// Later are the stages that have not begun. Whole false means that they
	// are not known, since the run is from before they were.
	Later []trigger.Stage
	Whole bool
	// Reopened is how often tasks of the run have been reopened. Then one of the stages
	// behind may have begun (Ahead), another stage may be under way (UnderWay), and Worst is
	// how another one ended that did not succeed; empty where all did.
	Reopened        int64
	Ahead, UnderWay bool
	Worst           Status
	// Overtaken means that a newer build had its turn before the run was reopened: nothing
	// comes after it.
	Overtaken bool
	Build     trigger.Build
}

// Consequence is what follows an ended stage: one of Next, Retries and Outcome is set, or
// none where another stage of the run is under way.
type Consequence struct {
	Ended Ended
	// Policy is that of the run's pipeline as it is now.
	Policy v1alpha1.ConcurrencyPolicy
	// Next is the stage that comes now, and Hold what holds it.
	Next trigger.Stage
	Hold trigger.Hold
	// Retries true means that the stage is tried again, after RetryAfter.
	Retries    bool
	RetryAfter time.Duration
	// Outcome is how the whole run ended.
	Outcome Status
	// Decisions are about the pipelines below, when the run ended.
	Decisions []trigger.Decision
}

// Unfollowed returns up to most ended stages whose consequence is not committed, but
// for the tasks with these ids.
func (s *Store) Unfollowed(ctx context.Context, most int, passedOver []int64) ([]Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.Unfollowed(ctx, dbsqlc.UnfollowedParams{
		Most: int32(most), Namespaces: s.namespaces, PassedOver: append([]int64{}, passedOver...), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list ended stages: %w", err)
	}
	list := convert(rows, ended)
	return list, s.addAll(ctx, list)
}

func ended(row dbsqlc.UnfollowedRow) Ended {
	artifacts := []v1alpha1.Artifact{{Image: row.Image, Digest: row.Digest}}
	for _, image := range row.Also {
		artifacts = append(artifacts, v1alpha1.Artifact{Image: image, Digest: row.Digest})
	}
	return Ended{
		ID: row.ID, StageID: row.StageID, RunID: row.CdWorkflowID, TurnID: row.TurnID,
		Stage: trigger.Stage(row.Stage), Attempt: row.Attempt, Status: Status(row.Status), Reason: v1alpha1.Reason(row.Reason), Message: row.Message,
		Stopped: row.StopReason != "", HadWorkflow: row.HadWorkflow, Priority: row.Priority,
		Namespace: row.Namespace, Pipeline: row.Pipeline, PipelineUID: row.PipelineUid, Number: row.Run,
		Artifacts: artifacts, All: row.Artifacts == string(v1alpha1.ArtifactsAll), Descends: row.Descends, Again: row.Again, Parent: row.Parent, Cluster: row.Cluster, Actor: row.Actor, ActorReason: row.ActorReason, RunActor: row.RunActor,
		Later: stagesOf(row.Later), Whole: row.Whole,
		Reopened: row.Reopened, Ahead: row.Ahead, UnderWay: row.UnderWay, Worst: Status(row.Worst), Overtaken: row.Overtaken,
		Build: trigger.Build{
			UID: row.BuildUid, Namespace: row.Namespace, Name: row.BuildName, CiPipeline: row.CiPipeline,
			Revision: row.Revision, Ref: row.Ref, Cause: row.Cause, Phase: v1alpha1.BuildPhase(row.Phase),
		},
	}
}

// addAll reads the artifacts of runs that were given all of their build.
func (s *Store) addAll(ctx context.Context, list []Ended) error {
	var runs []int64
	for i := range list {
		if list[i].All {
			runs = append(runs, list[i].RunID)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	artifacts, err := runArtifacts(ctx, s.queries, runs)
	for i := range list {
		if all := artifacts[list[i].RunID]; len(all) > 0 {
			list[i].Artifacts = all
		}
	}
	return err
}

// Follow commits the consequences of ended stages in one transaction. It returns
// ErrStale, and writes nothing, where one of them was committed before.
func (s *Store) Follow(ctx context.Context, consequences []Consequence) error {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		f := &following{queries: queries, consequences: consequences}
		if err := f.commit(ctx); err != nil {
			return err
		}
		return failpoint.Error(failpoint.FollowBeforeCommit)
	})
	if err != nil {
		return fmt.Errorf("follow ended stages: %w", err)
	}
	return nil
}

// following is one transaction that follows ended stages.
type following struct {
	queries      *dbsqlc.Queries
	consequences []Consequence
	starts       []*start
	order        *order
}

// commit locks pipelines before tasks, as whoever needs both does.
func (f *following) commit(ctx context.Context) error {
	var err error
	if f.order, err = lockPipelines(ctx, f.queries, f.prepare(), f.builds()...); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		f.settle, f.releaseStages, f.retryStages, f.finishRuns, f.noteDeployed, f.decideOrder, f.startBelow, f.settleWaiting,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// builds are those whose runs the transaction is about.
func (f *following) builds() []string {
	return convert(f.consequences, func(c Consequence) string { return c.Ended.Build.UID })
}

// prepare gathers what starts below, one for each build or for each run that a person asked
// for, and returns the pipelines that the transaction is about.
func (f *following) prepare() []PipelineRef {
	var refs []PipelineRef
	byBuild := map[string]*start{}
	for _, consequence := range f.consequences {
		ended := consequence.Ended
		refs = append(refs, PipelineRef{UID: ended.PipelineUID, Namespace: ended.Namespace, Name: ended.Pipeline, Policy: consequence.Policy})
		if len(consequence.Decisions) == 0 {
			continue
		}
		below := byBuild[ended.Build.UID]
		if below == nil || ended.Again {
			below = &start{build: ended.Build, below: true, again: ended.Again, since: ended.RunID}
			below.actor, below.actorReason = ended.askedBy()
			f.starts = append(f.starts, below)
		}
		if !ended.Again {
			byBuild[ended.Build.UID] = below
		}
		below.reopened = below.reopened || ended.Reopened > 0
		below.add(consequence.Decisions)
	}
	for _, below := range f.starts {
		below.joinAll()
		refs = append(refs, below.pipelines()...)
	}
	return refs
}

// settle takes the stages: each is followed once.
func (f *following) settle(ctx context.Context) error {
	settled, err := f.queries.SettleTasks(ctx, dbsqlc.SettleTasksParams{
		Ids:     convert(f.consequences, func(c Consequence) int64 { return c.Ended.ID }),
		Stopped: convert(f.consequences, func(c Consequence) bool { return c.Ended.Stopped }),
		RunIds:  convert(f.consequences, func(c Consequence) int64 { return c.Ended.RunID }), Reopened: convert(f.consequences, func(c Consequence) int64 { return c.Ended.Reopened }),
	})
	if err != nil {
		return fmt.Errorf("settle tasks: %w", err)
	}
	if int(settled) != len(f.consequences) {
		return ErrStale
	}
	return nil
}

// releaseStages lets the next stages go on, each as its turn and what holds it allow.
func (f *following) releaseStages(ctx context.Context) error {
	var params dbsqlc.ReleaseStagesParams
	late := newTasks("")
	var lateStages []Consequence
	var identities []string
	for _, consequence := range f.consequences {
		if consequence.Next == "" {
			continue
		}
		status, hold := f.released(consequence)
		ended := consequence.Ended
		if !ended.Whole && !slices.Contains(ended.Later, consequence.Next) {
			task := f.task(consequence, consequence.Next, 1)
			task.status, task.hold = status, hold
			identities = append(identities, late.add(task))
			lateStages = append(lateStages, consequence)
			continue
		}
		params.RunIds = append(params.RunIds, ended.RunID)
		params.Stages = append(params.Stages, string(consequence.Next))
		params.Statuses = append(params.Statuses, string(status))
		params.Reasons = append(params.Reasons, string(hold.Reason))
		params.Messages = append(params.Messages, clean(hold.Message))
	}
	if len(params.Stages) > 0 {
		if err := f.queries.ReleaseStages(ctx, params); err != nil {
			return fmt.Errorf("release stages: %w", err)
		}
	}
	return f.insertStages(ctx, late, lateStages, identities)
}

// insertStages adds stages to runs that were planned before all of them were rows.
func (f *following) insertStages(ctx context.Context, tasks *tasks, of []Consequence, identities []string) error {
	ids, err := tasks.insert(ctx, f.queries)
	if err != nil {
		return err
	}
	for i, consequence := range of {
		err := f.queries.InsertStages(ctx, dbsqlc.InsertStagesParams{
			Namespace: consequence.Ended.Namespace, CdWorkflowIds: []int64{consequence.Ended.RunID},
			Stages: []string{string(consequence.Next)}, TaskIds: []int64{ids[identities[i]]},
		})
		if err != nil {
			return fmt.Errorf("insert stage: %w", err)
		}
	}
	return nil
}

// released is where the next stage is: a turn that is over, such as one that was
// superseded, starts nothing by itself.
func (f *following) released(consequence Consequence) (Status, trigger.Hold) {
	turn := f.order.find(consequence.Ended.PipelineUID, consequence.Ended.TurnID)
	switch {
	case consequence.Hold != trigger.Hold{}:
		return StatusHeld, consequence.Hold
	case turn == nil || turn.State == trigger.TurnActive:
		return StatusPending, trigger.Hold{}
	default:
		return StatusHeld, trigger.TurnHold
	}
}

func (f *following) task(consequence Consequence, stage trigger.Stage, attempt int32) stageTask {
	ended := consequence.Ended
	return stageTask{
		pipeline: PipelineRef{UID: ended.PipelineUID, Namespace: ended.Namespace, Name: ended.Pipeline},
		buildUID: ended.Build.UID, number: ended.Number, attempt: attempt, priority: ended.Priority,
		inputs: trigger.Inputs{
			Build: ended.Build.Name, Revision: ended.Build.Revision, Stage: stage, Run: ended.RunID, Parent: ended.Parent, Cluster: ended.Cluster, All: ended.All,
			Actor: ended.Actor, ActorReason: ended.ActorReason,
			Image: ended.Artifacts[0].Image, Digest: ended.Artifacts[0].Digest,
		},
	}
}

// askedBy returns who has asked for what follows, and why: the reason is that of the run, unless
// somebody else has asked for its last stage.
func (e Ended) askedBy() (actor, reason string) {
	switch {
	case !e.Again:
		return "", ""
	case e.Actor != e.RunActor:
		return e.RunActor, ""
	}
	return e.RunActor, e.ActorReason
}

// summary says how the stage ended.
func (e Ended) summary() string {
	if e.Message == "" {
		return fmt.Sprintf("it ended as %s", e.Status)
	}
	return clip.Text(e.Message, maxSummary)
}

// maxSummary bounds, in bytes, what a task keeps of the message of the attempt before.
const maxSummary = 512

// retryStages gives stages that failed another task. The turn stays theirs meanwhile.
func (f *following) retryStages(ctx context.Context) error {
	tasks := newTasks("")
	var params dbsqlc.RetryStagesParams
	var identities []string
	for _, consequence := range f.consequences {
		if !consequence.Retries {
			continue
		}
		task := f.task(consequence, consequence.Ended.Stage, consequence.Ended.Attempt+1)
		task.status, task.delay = StatusPending, consequence.RetryAfter
		task.inputs.Before = consequence.Ended.summary()
		identities = append(identities, tasks.add(task))
		params.StageIds = append(params.StageIds, consequence.Ended.StageID)
	}
	if len(params.StageIds) == 0 {
		return nil
	}
	ids, err := tasks.insert(ctx, f.queries)
	if err != nil {
		return err
	}
	params.TaskIds = convert(identities, func(identity string) int64 { return ids[identity] })
	if err := f.queries.RetryStages(ctx, params); err != nil {
		return fmt.Errorf("retry stages: %w", err)
	}
	return nil
}

func (f *following) finishRuns(ctx context.Context) error {
	var params dbsqlc.FinishRunsParams
	for _, consequence := range f.consequences {
		// Where two stages of a reopened run end it in one batch, the outcome of the first counts.
		if consequence.Outcome == "" || slices.Contains(params.CdWorkflowIds, consequence.Ended.RunID) {
			continue
		}
		params.CdWorkflowIds = append(params.CdWorkflowIds, consequence.Ended.RunID)
		params.Outcomes = append(params.Outcomes, string(consequence.Outcome))
	}
	if len(params.Outcomes) == 0 {
		return nil
	}
	if err := f.endLaterStages(ctx); err != nil {
		return err
	}
	if err := f.queries.FinishRuns(ctx, params); err != nil {
		return fmt.Errorf("finish runs: %w", err)
	}
	return nil
}

// endLaterStages ends the stages that will not begin.
func (f *following) endLaterStages(ctx context.Context) error {
	var cancelled []int64
	superseded := dbsqlc.SupersedeLaterStagesParams{Message: trigger.OvertakenBy("")}
	for _, consequence := range f.consequences {
		switch {
		case consequence.Outcome == "":
		case consequence.Ended.Overtaken && consequence.Outcome == StatusSuperseded && consequence.Ended.Status == StatusSucceeded:
			superseded.RunIds = append(superseded.RunIds, consequence.Ended.RunID)
		default:
			cancelled = append(cancelled, consequence.Ended.RunID)
		}
	}
	if len(superseded.RunIds) > 0 {
		if err := f.queries.SupersedeLaterStages(ctx, superseded); err != nil {
			return fmt.Errorf("supersede later stages: %w", err)
		}
	}
	if err := f.queries.CancelLaterStages(ctx, cancelled); err != nil {
		return fmt.Errorf("cancel later stages: %w", err)
	}
	return nil
}

// noteDeployed notes what the DEPLOY stages that succeeded have deployed.
func (f *following) noteDeployed(ctx context.Context) error {
	var params dbsqlc.SetDeployedParams
	for _, consequence := range f.consequences {
		ended := consequence.Ended
		if ended.Stage != trigger.StageDeploy || ended.Status != StatusSucceeded {
			continue
		}
		for _, artifact := range ended.Artifacts {
			params.PipelineUids = append(params.PipelineUids, ended.PipelineUID)
			params.Repositories = append(params.Repositories, trigger.Repository(artifact.Image))
			params.RunIds = append(params.RunIds, ended.RunID)
			params.Images = append(params.Images, artifact.Image)
			params.Digests = append(params.Digests, artifact.Digest)
			params.BuildNames = append(params.BuildNames, ended.Build.Name)
		}
	}
	if len(params.RunIds) == 0 {
		return nil
	}
	if err := f.queries.SetDeployed(ctx, params); err != nil {
		return fmt.Errorf("note what is deployed: %w", err)
	}
	return nil
}

// decideOrder ends the turns that are over, adds those of the builds that go on below,
// and decides whose turn it is now.
func (f *following) decideOrder(ctx context.Context) error {
	turns := map[int64]string{}
	for _, consequence := range f.consequences {
		turns[consequence.Ended.TurnID] = consequence.Ended.PipelineUID
	}
	if err := f.order.settle(ctx, turns); err != nil {
		return err
	}
	places, err := f.places(ctx)
	if err != nil {
		return err
	}
	for _, below := range f.starts {
		if err := f.dropStarted(ctx, below); err != nil {
			return err
		}
		below.join(f.order, places[below.build.UID])
	}
	return f.order.decide(ctx)
}
