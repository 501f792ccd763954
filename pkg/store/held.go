package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Held is a stage that is held.
type Held struct {
	RunID, TurnID int64
	Stage         trigger.Stage
	Reason        v1alpha1.Reason
	// Resumed tells whether a person has let it go on.
	Resumed bool
}

// byTime tells whether it is held by the time alone.
func (h Held) byTime() bool { return trigger.WaitsForTime(h.Reason) }

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
		held, err := heldOf(ctx, queries, request.Pipeline.UID, trigger.Resumable()...)
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
			if _, err := queries.ResumeStage(ctx, dbsqlc.ResumeStageParams{RunID: held[i].RunID, Stage: string(held[i].Stage), Actor: clean(request.Actor), ActorReason: clean(request.Reason)}); err != nil {
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
	// TemplateClusters are where these are to run, each once; the empty one is home.
	TemplateClusters []string
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
			TemplateClusters: row.TemplateClusters, TemplateFor: time.Duration(row.TemplateSeconds * float64(time.Second)), Unyielded: row.Unyielded, Unclaimed: row.Unclaimed,
			Parents: row.Parents, Lowest: row.Lowest, Highest: row.Highest,
		}
	}), nil
}

func stagesOf(names []string) []trigger.Stage {
	return convert(names, func(stage string) trigger.Stage { return trigger.Stage(stage) })
}
