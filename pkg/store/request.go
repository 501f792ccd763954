package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Request is a RunRequest that is carried out or refused once.
type Request struct {
	Namespace, Name string
	// SpecHash is that of the whole spec: another spec under the same name is another
	// request.
	SpecHash string
	Action   v1alpha1.Action
	// Actor is who asks, and Reason why.
	Actor, Reason string
	Pipeline      PipelineRef
	BuildName     string
}

// key tells the turns of different requests apart.
func (r Request) key() string { return r.Name + "/" + r.SpecHash }

// Answer is what became of a request.
type Answer struct {
	Phase   v1alpha1.RunRequestPhase
	Run     int64
	Message string
	At      time.Time
}

// refusal ends a transaction that writes nothing but that the request was refused.
type refusal struct{ message string }

func (r *refusal) Error() string { return r.message }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// FindRequest returns what became of a request before; nil where nothing has.
func (s *Store) FindRequest(ctx context.Context, request Request) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	return findRequest(ctx, s.queries, request)
}

func findRequest(ctx context.Context, queries *dbsqlc.Queries, request Request) (*Answer, error) {
	rows, err := queries.FindRequest(ctx, dbsqlc.FindRequestParams{Namespace: request.Namespace, Name: request.Name, SpecHash: request.SpecHash})
	if err != nil {
		return nil, fmt.Errorf("look for request: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &Answer{Phase: v1alpha1.RunRequestPhase(rows[0].Phase), Run: rows[0].RunID, Message: rows[0].Message, At: rows[0].At.Time}, nil
}

// Refuse records that a request was refused, and why.
func (s *Store) Refuse(ctx context.Context, request Request, message string) (Answer, error) {
	return s.carryOut(ctx, request, func(context.Context, *dbsqlc.Queries) (Answer, error) {
		return Answer{}, &refusal{message}
	})
}

// carryOut does what a request asks for, and records it, in one transaction. Where it was
// carried out before, that answer is returned and nothing is done.
func (s *Store) carryOut(ctx context.Context, request Request, do func(context.Context, *dbsqlc.Queries) (Answer, error)) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	answer, err := s.tryRequest(ctx, request, do)
	var refused *refusal
	if errors.As(err, &refused) {
		answer, err = s.tryRequest(ctx, request, func(context.Context, *dbsqlc.Queries) (Answer, error) {
			return Answer{Phase: v1alpha1.RequestRefused, Message: refused.message}, nil
		})
	}
	if err != nil {
		return Answer{}, fmt.Errorf("carry out request %s: %w", request.Name, err)
	}
	return answer, nil
}

func (s *Store) tryRequest(ctx context.Context, request Request, do func(context.Context, *dbsqlc.Queries) (Answer, error)) (Answer, error) {
	var answer Answer
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		before, err := findRequest(ctx, queries, request)
		if err != nil {
			return err
		}
		if before != nil {
			answer = *before
			return nil
		}
		if answer, err = do(ctx, queries); err != nil {
			return err
		}
		failpoint.Hit(failpoint.RequestBeforeRecord)
		recorded, err := queries.InsertRequest(ctx, insertRequest(request, answer))
		if err != nil {
			return fmt.Errorf("record request: %w", err)
		}
		if len(recorded) == 0 {
			return ErrStale // another worker was faster: its answer is found next time
		}
		answer.At = recorded[0].Time
		return failpoint.Error(failpoint.RequestBeforeCommit)
	})
	return answer, err
}

func insertRequest(request Request, answer Answer) dbsqlc.InsertRequestParams {
	return dbsqlc.InsertRequestParams{
		Namespace: request.Namespace, Name: request.Name, SpecHash: request.SpecHash, Action: string(request.Action),
		Phase: string(answer.Phase), RunID: answer.Run, Message: clean(answer.Message), Actor: clean(request.Actor), Reason: clean(request.Reason),
		BuildName: request.BuildName, Pipeline: request.Pipeline.Name, PipelineUid: request.Pipeline.UID,
	}
}

// Starting says what a request wants to run.
type Starting struct {
	Build     trigger.Build
	Place     trigger.Place
	Decisions []trigger.Decision
	// From is the first stage; empty means the pipeline's first.
	From trigger.Stage
	// AllowOlder lets the build be older than one that had its turn.
	AllowOlder bool
	// Alone means that the pipelines below do not follow.
	Alone bool
}

// StartRuns runs a pipeline for a build because a request asks for it.
func (s *Store) StartRuns(ctx context.Context, request Request, starting Starting) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		order, err := lockPipelines(ctx, queries, []PipelineRef{request.Pipeline})
		if err != nil {
			return Answer{}, err
		}
		for _, turn := range order.pipelines[request.Pipeline.UID].turns {
			if turn.buildUID == starting.Build.UID {
				return Answer{}, refuse("build %s is under way in CdPipeline %s already: cancel that first, or wait for its end", starting.Build.Name, request.Pipeline.Name)
			}
		}
		start := &start{
			build: starting.Build, decisions: starting.Decisions, request: request.key(), actor: request.Actor,
			asked: starting.AllowOlder, from: starting.From, again: true, alone: starting.Alone,
		}
		start.join(order, starting.Place)
		if err := order.decide(ctx); err != nil {
			return Answer{}, err
		}
		if start.turns[request.Pipeline.UID].State == trigger.TurnSuperseded {
			return Answer{}, refuse("build %s is older than one that had its turn in CdPipeline %s: set spec.allowOlder in a new RunRequest to deploy it all the same", starting.Build.Name, request.Pipeline.Name)
		}
		if err := start.insert(ctx, queries); err != nil {
			return Answer{}, err
		}
		if len(start.made) == 0 {
			return Answer{}, fmt.Errorf("no run was made of build %s", starting.Build.Name)
		}
		return Answer{Phase: v1alpha1.RequestDone, Run: start.made[0], Message: runsWere(start.made, "made of build "+starting.Build.Name)}, nil
	})
}

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
			UID: row.BuildUid, Namespace: namespace, Name: row.BuildName, CiPipeline: row.CiPipeline, Revision: row.Revision,
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

// CancelRuns ends runs of the pipeline because a request asks for it: what waits is
// cancelled now, what is active is stopped.
func (s *Store) CancelRuns(ctx context.Context, request Request, run int64) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		if _, err := lockPipelines(ctx, queries, []PipelineRef{request.Pipeline}); err != nil {
			return Answer{}, err
		}
		runs, err := requestedRuns(ctx, queries, request, run)
		if err != nil {
			return Answer{}, err
		}
		runs = slices.DeleteFunc(runs, func(run RunState) bool { return run.Outcome != "" })
		if len(runs) == 0 {
			return Answer{}, refuse("there is nothing to cancel: %s in CdPipeline %s has ended", subject(request, run, "every"), request.Pipeline.Name)
		}
		message := "cancelled by " + request.Actor
		if request.Reason != "" {
			message += ": " + request.Reason
		}
		stopped, err := queries.StopTasks(ctx, dbsqlc.StopTasksParams{
			RunIds: convert(runs, func(run RunState) int64 { return run.ID }),
			Reason: string(v1alpha1.ReasonCancelled), Message: clean(message), Actor: clean(request.Actor),
		})
		if err != nil {
			return Answer{}, fmt.Errorf("stop tasks: %w", err)
		}
		return Answer{Phase: v1alpha1.RequestDone, Run: runs[0].ID, Message: cancelledMessage(runs, stopped)}, nil
	})
}

// requestedRuns returns the run that a request names, or those of the build, the newest
// first, at least one.
func requestedRuns(ctx context.Context, queries *dbsqlc.Queries, request Request, run int64) ([]RunState, error) {
	runs, err := runsOf(ctx, queries, request.Pipeline.UID, run, request.BuildName)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, refuse("CdPipeline %s does not have %s", request.Pipeline.Name, subject(request, run, "a"))
	}
	return runs, nil
}

// subject is the run that a request names, or a run, or every run, of its build.
func subject(request Request, run int64, which string) string {
	if run != 0 {
		return fmt.Sprintf("run %d", run)
	}
	return which + " run of build " + request.BuildName
}

func cancelledMessage(runs []RunState, stopped []dbsqlc.StopTasksRow) string {
	active := 0
	for _, task := range stopped {
		if !Status(task.Status).HasEnded() {
			active++
		}
	}
	message := runsWere(convert(runs, func(run RunState) int64 { return run.ID }), "cancelled")
	switch active {
	case 0:
		return message
	case 1:
		return message + "; a Workflow is being stopped"
	default:
		return fmt.Sprintf("%s; %d Workflows are being stopped", message, active)
	}
}

// runsWere says what was done to runs.
func runsWere(runs []int64, done string) string {
	const most = 20
	numbers := make([]string, 0, most)
	for _, run := range runs[:min(len(runs), most)] {
		numbers = append(numbers, fmt.Sprint(run))
	}
	switch {
	case len(runs) == 1:
		return fmt.Sprintf("run %s was %s", numbers[0], done)
	case len(runs) > most:
		return fmt.Sprintf("runs %s and %d more were %s", strings.Join(numbers, ", "), len(runs)-most, done)
	default:
		return fmt.Sprintf("runs %s were %s", strings.Join(numbers, ", "), done)
	}
}

// Held is a stage that is held.
type Held struct {
	RunID, TurnID int64
	Stage         trigger.Stage
	Reason        v1alpha1.Reason
	// Resumed tells whether a person has let it go on.
	Resumed bool
}

// byTime tells whether it is held by the time alone.
func (h Held) byTime() bool {
	return h.Reason == v1alpha1.ReasonWindow || h.Reason == v1alpha1.ReasonFreeze
}

// ResumeStages lets stages go on that wait for a person, a window or the end of a freeze,
// because a request asks for it: those of the run, or of all runs of the build. holdOf says
// what else holds a stage.
func (s *Store) ResumeStages(ctx context.Context, request Request, run int64, stage trigger.Stage, holdOf func(Held) trigger.Hold) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		order, err := lockPipelines(ctx, queries, []PipelineRef{request.Pipeline})
		if err != nil {
			return Answer{}, err
		}
		runs, err := requestedRuns(ctx, queries, request, run)
		if err != nil {
			return Answer{}, err
		}
		wanted := map[int64]bool{}
		for _, run := range runs {
			wanted[run.ID] = true
		}
		held, err := heldOf(ctx, queries, request.Pipeline.UID, v1alpha1.ReasonPerson, v1alpha1.ReasonWindow, v1alpha1.ReasonFreeze)
		if err != nil {
			return Answer{}, err
		}
		held = slices.DeleteFunc(held, func(h Held) bool { return !wanted[h.RunID] || (stage != "" && h.Stage != stage) })
		if len(held) == 0 {
			return Answer{}, nobodyWaits(request, run, stage, runs)
		}
		if timed := slices.IndexFunc(held, Held.byTime); timed >= 0 && request.Reason == "" {
			return Answer{}, refuse("stage %s of run %d in CdPipeline %s waits for %s: to let it start all the same, say why in spec.reason of a new RunRequest",
				held[timed].Stage, held[timed].RunID, request.Pipeline.Name, held[timed].Reason)
		}
		for i := range held {
			if _, err := queries.ResumeStage(ctx, dbsqlc.ResumeStageParams{RunID: held[i].RunID, Stage: string(held[i].Stage), Actor: clean(request.Actor)}); err != nil {
				return Answer{}, fmt.Errorf("resume stage: %w", err)
			}
			held[i].Resumed = true
		}
		if err := release(ctx, queries, order, request.Pipeline, held, holdOf, request.Actor); err != nil {
			return Answer{}, err
		}
		return Answer{Phase: v1alpha1.RequestDone, Run: held[0].RunID, Message: resumedMessage(held)}, nil
	})
}

func resumedMessage(held []Held) string {
	runs := runsWere(convert(held, func(h Held) int64 { return h.RunID }), "resumed")
	if slices.ContainsFunc(held, func(h Held) bool { return h.Stage != held[0].Stage }) {
		return runs
	}
	return fmt.Sprintf("stage %s of %s", held[0].Stage, runs)
}

func nobodyWaits(request Request, run int64, stage trigger.Stage, runs []RunState) error {
	what := subject(request, run, "a")
	if stage != "" {
		return refuse("stage %s of %s in CdPipeline %s does not wait for a person%s", stage, what, request.Pipeline.Name, waitsFor(runs))
	}
	return refuse("no stage of %s in CdPipeline %s waits for a person%s", what, request.Pipeline.Name, waitsFor(runs))
}

// waitsFor says what else the runs wait for.
func waitsFor(runs []RunState) string {
	for _, run := range runs {
		for _, stage := range run.Stages {
			if stage.Status == StatusHeld && stage.Reason != v1alpha1.ReasonStageBefore {
				return fmt.Sprintf("; stage %s of run %d waits for %s", stage.Stage, run.ID, stage.Reason)
			}
		}
	}
	return ""
}

func heldOf(ctx context.Context, queries *dbsqlc.Queries, pipelineUID string, reasons ...v1alpha1.Reason) ([]Held, error) {
	rows, err := queries.HeldOf(ctx, dbsqlc.HeldOfParams{
		PipelineUid: pipelineUID, Reasons: convert(reasons, func(reason v1alpha1.Reason) string { return string(reason) }),
	})
	if err != nil {
		return nil, fmt.Errorf("list held stages: %w", err)
	}
	return convert(rows, func(row dbsqlc.HeldOfRow) Held {
		return Held{RunID: row.CdWorkflowID, TurnID: row.TurnID, Stage: trigger.Stage(row.Stage), Reason: v1alpha1.Reason(row.Reason), Resumed: row.Resumed}
	}), nil
}

// release looks anew at what holds stages: one that nothing holds waits for its turn, and
// for a slot where its build has that.
func release(ctx context.Context, queries *dbsqlc.Queries, order *order, pipeline PipelineRef, held []Held, holdOf func(Held) trigger.Hold, actor string) error {
	params := dbsqlc.ReleaseStagesParams{Actor: clean(actor)}
	turns := map[int64]string{}
	for _, stage := range held {
		hold, status := holdOf(stage), StatusHeld
		turn := order.find(pipeline.UID, stage.TurnID)
		if hold == (trigger.Hold{}) {
			hold = trigger.TurnHold
			if turn != nil && turn.State == trigger.TurnActive {
				hold, status = trigger.Hold{}, StatusPending
			}
		}
		turns[stage.TurnID] = pipeline.UID
		params.RunIds = append(params.RunIds, stage.RunID)
		params.Stages = append(params.Stages, string(stage.Stage))
		params.Statuses = append(params.Statuses, string(status))
		params.Reasons = append(params.Reasons, string(hold.Reason))
		params.Messages = append(params.Messages, clean(hold.Message))
	}
	if len(params.RunIds) > 0 {
		if err := queries.ReleaseStages(ctx, params); err != nil {
			return fmt.Errorf("release stages: %w", err)
		}
	}
	if err := order.settle(ctx, turns); err != nil {
		return err
	}
	return order.decide(ctx)
}

// Reconsider looks anew at what holds the stages of a pipeline, and at whose turn it is,
// since its spec has changed: holdOf says what holds a stage that is held, and hold, where
// there is one, holds what waits for a slot as well.
func (s *Store) Reconsider(ctx context.Context, pipeline PipelineRef, hold trigger.Hold, holdOf func(Held) trigger.Hold) error {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		order, err := lockPipelines(ctx, queries, []PipelineRef{pipeline})
		if err != nil {
			return err
		}
		if hold != (trigger.Hold{}) {
			err := queries.HoldPending(ctx, dbsqlc.HoldPendingParams{OwnerUid: pipeline.UID, Reason: string(hold.Reason), Message: clean(hold.Message)})
			if err != nil {
				return fmt.Errorf("hold waiting tasks: %w", err)
			}
		}
		held, err := heldOf(ctx, queries, pipeline.UID,
			v1alpha1.ReasonHold, v1alpha1.ReasonPerson, v1alpha1.ReasonTurn, v1alpha1.ReasonTemplate, v1alpha1.ReasonWindow, v1alpha1.ReasonFreeze)
		if err != nil {
			return err
		}
		return release(ctx, queries, order, pipeline, held, holdOf, "")
	})
	if err != nil {
		return fmt.Errorf("look at held stages of %s: %w", pipeline.Name, err)
	}
	return nil
}

// Waiting is a pipeline of which something waits.
type Waiting struct {
	Namespace, Pipeline, UID string
	// Reasons are what holds it, each once; the empty one is for a slot.
	Reasons []string
	// PersonStages are the stages that wait for a person, each once, and TemplateStages those
	// that wait for their template.
	PersonStages, TemplateStages []trigger.Stage
	// TemplateFor is for how long the first of these has waited, by the database's clock.
	TemplateFor time.Duration
	// Unyielded tells that a build has a turn which it must yield, since what is left of it
	// is held.
	Unyielded bool
	// Unclaimed tells that something waits for a slot which nobody has ever claimed.
	Unclaimed bool
	// Parents are those that have triggered what waits, each once, as trigger.ParentOf gives
	// them; what a person asked for has none.
	Parents []string
	// Lowest and Highest are the priorities of what waits.
	Lowest, Highest int32
}

// WaitingPipelines returns every pipeline of which something waits, but for stages that
// wait for the one before.
func (s *Store) WaitingPipelines(ctx context.Context) ([]Waiting, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.WaitingPipelines(ctx, s.namespaces)
	if err != nil {
		return nil, fmt.Errorf("list pipelines that wait: %w", err)
	}
	return convert(rows, func(row dbsqlc.WaitingPipelinesRow) Waiting {
		return Waiting{
			Namespace: row.Namespace, Pipeline: row.Pipeline, UID: row.PipelineUid, Reasons: row.Reasons,
			PersonStages: stagesOf(row.PersonStages), TemplateStages: stagesOf(row.TemplateStages),
			TemplateFor: time.Duration(row.TemplateSeconds * float64(time.Second)), Unyielded: row.Unyielded, Unclaimed: row.Unclaimed,
			Parents: row.Parents, Lowest: row.Lowest, Highest: row.Highest,
		}
	}), nil
}

func stagesOf(names []string) []trigger.Stage {
	return convert(names, func(stage string) trigger.Stage { return trigger.Stage(stage) })
}
