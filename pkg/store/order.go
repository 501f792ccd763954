package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// PipelineRef is a pipeline whose turns a transaction decides on.
type PipelineRef struct {
	UID, Namespace, Name string
	// Policy is the pipeline's as it is now; empty means Queue.
	Policy v1alpha1.ConcurrencyPolicy
}

// pipelineRef is that of a pipeline.
func pipelineRef(pipeline *v1alpha1.CdPipeline) PipelineRef {
	return PipelineRef{UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: pipeline.Name, Policy: pipeline.Spec.ConcurrencyPolicy}
}

// order is the turns of the pipelines that a transaction has locked. Whatever changes a
// turn goes through it: all others wait until the transaction ends.
type order struct {
	queries   *dbsqlc.Queries
	pipelines map[string]*pipelineOrder
}

type pipelineOrder struct {
	PipelineRef
	newest trigger.Place
	turns  []*liveTurn
}

// liveTurn is a turn that has not ended. One without an id is new.
type liveTurn struct {
	trigger.Turn
	id       int64
	was      trigger.TurnState // as the table has it
	buildUID string
	request  string
	cause    string // the build that superseded it
}

// lockPipelines locks the pipelines, in the order of their UIDs, and reads their turns. Of
// pipelines whose builds do not wait for each other, the turns of these builds are enough;
// without builds all are read.
func lockPipelines(ctx context.Context, queries *dbsqlc.Queries, refs []PipelineRef, builds ...string) (*order, error) {
	o := &order{queries: queries, pipelines: map[string]*pipelineOrder{}}
	var ensure dbsqlc.EnsurePipelinesParams
	turns := dbsqlc.LiveTurnsParams{BuildUids: builds}
	for _, ref := range refs {
		if o.pipelines[ref.UID] != nil {
			continue
		}
		o.pipelines[ref.UID] = &pipelineOrder{PipelineRef: ref}
		ensure.PipelineUids = append(ensure.PipelineUids, ref.UID)
		ensure.Namespaces = append(ensure.Namespaces, ref.Namespace)
		ensure.Pipelines = append(ensure.Pipelines, ref.Name)
		if ref.Policy == v1alpha1.ConcurrencyAllow && len(builds) > 0 {
			turns.Unordered = append(turns.Unordered, ref.UID)
		} else {
			turns.Ordered = append(turns.Ordered, ref.UID)
		}
	}
	if len(ensure.PipelineUids) == 0 {
		return o, nil
	}
	if err := queries.EnsurePipelines(ctx, ensure); err != nil {
		return nil, fmt.Errorf("note pipelines: %w", err)
	}
	locked, err := queries.LockPipelines(ctx, ensure.PipelineUids)
	if err != nil {
		return nil, fmt.Errorf("lock pipelines: %w", err)
	}
	for _, row := range locked {
		o.pipelines[row.PipelineUid].newest = placeOf(row.NewestAt, row.NewestSeq)
	}
	live, err := queries.LiveTurns(ctx, turns)
	if err != nil {
		return nil, fmt.Errorf("read turns: %w", err)
	}
	for _, row := range live {
		pipeline := o.pipelines[row.PipelineUid]
		pipeline.turns = append(pipeline.turns, &liveTurn{
			id: row.ID, was: trigger.TurnState(row.State), buildUID: row.BuildUid, request: row.Request,
			Turn: trigger.Turn{
				Build: row.BuildName, Place: placeOf(row.BuiltAt, row.BuildSeq), State: trigger.TurnState(row.State), Asked: row.Asked,
			},
		})
	}
	return o, nil
}

// placeOf is the zero Place for minus infinity.
func placeOf(at pgtype.Timestamptz, seq int64) trigger.Place {
	if at.InfinityModifier == pgtype.NegativeInfinity {
		return trigger.Place{Seq: seq}
	}
	return trigger.Place{CreatedAt: at.Time, Seq: seq}
}

// join returns the turn of a build in a pipeline, which is new where there is none that
// has not ended. held tells that what comes is held by something else than its turn.
func (o *order) join(pipelineUID string, newcomer liveTurn, held bool) *liveTurn {
	pipeline := o.pipelines[pipelineUID]
	for _, turn := range pipeline.turns {
		if turn.buildUID != newcomer.buildUID || turn.request != newcomer.request || turn.State == trigger.TurnSuperseded || turn.State == trigger.TurnEnded {
			continue
		}
		if turn.State == trigger.TurnYielded && !held {
			turn.State = trigger.TurnWaiting
		}
		return turn
	}
	newcomer.State = trigger.TurnWaiting
	if held {
		newcomer.State = trigger.TurnYielded
	}
	pipeline.turns = append(pipeline.turns, &newcomer)
	return &newcomer
}

// find returns a turn that has not ended, or nil.
func (o *order) find(pipelineUID string, turnID int64) *liveTurn {
	for _, turn := range o.pipelines[pipelineUID].turns {
		if turn.id == turnID {
			return turn
		}
	}
	return nil
}

// decide moves the turns of every locked pipeline, and commits what becomes of those that
// have an id. What it says of new ones is in their state: Active, Waiting, Yielded or
// Superseded.
func (o *order) decide(ctx context.Context) error {
	var take, stop []int64
	var set dbsqlc.SetTurnsParams
	var supersede dbsqlc.SupersedeTurnsParams
	for _, uid := range slices.Sorted(maps.Keys(o.pipelines)) {
		pipeline := o.pipelines[uid]
		for i, move := range trigger.Order(pipeline.Policy, pipeline.newest, turnsOf(pipeline)) {
			turn := pipeline.turns[i]
			switch move.Kind {
			case trigger.MoveTake:
				turn.State = trigger.TurnActive
				take = appendID(take, turn)
			case trigger.MoveSupersede:
				turn.State, turn.cause = trigger.TurnSuperseded, move.For
				if turn.id != 0 {
					supersede.TurnIds = append(supersede.TurnIds, turn.id)
					supersede.Messages = append(supersede.Messages, trigger.OvertakenBy(move.For))
				}
			case trigger.MoveStop:
				stop = appendID(stop, turn)
			case trigger.MoveStay:
				if turn.id != 0 && turn.State != turn.was {
					set.TurnIds, set.States = append(set.TurnIds, turn.id), append(set.States, string(turn.State))
				}
			}
		}
	}
	return o.commit(ctx, take, stop, set, supersede)
}

func appendID(ids []int64, turn *liveTurn) []int64 {
	if turn.id == 0 {
		return ids
	}
	return append(ids, turn.id)
}

// turnsOf leaves out what has ended in this transaction.
func turnsOf(pipeline *pipelineOrder) []trigger.Turn {
	pipeline.turns = slices.DeleteFunc(pipeline.turns, func(turn *liveTurn) bool {
		return turn.State == trigger.TurnEnded || turn.State == trigger.TurnSuperseded
	})
	return convert(pipeline.turns, func(turn *liveTurn) trigger.Turn { return turn.Turn })
}

func (o *order) commit(ctx context.Context, take, stop []int64, set dbsqlc.SetTurnsParams, supersede dbsqlc.SupersedeTurnsParams) error {
	if len(set.TurnIds) > 0 {
		if err := o.queries.SetTurns(ctx, set); err != nil {
			return fmt.Errorf("set turns: %w", err)
		}
	}
	if len(supersede.TurnIds) > 0 {
		if _, err := o.queries.SupersedeTurns(ctx, supersede); err != nil {
			return fmt.Errorf("supersede turns: %w", err)
		}
	}
	if len(take) > 0 {
		if err := o.queries.TakeTurns(ctx, take); err != nil {
			return fmt.Errorf("take turns: %w", err)
		}
		if err := o.queries.RaiseNewest(ctx, take); err != nil {
			return fmt.Errorf("note newest turns: %w", err)
		}
	}
	if len(stop) > 0 {
		return o.stop(ctx, stop)
	}
	return nil
}

// stop ends what waits of active turns, and has the Workflows stopped of the rest.
func (o *order) stop(ctx context.Context, turns []int64) error {
	runs, err := o.queries.RunsOfTurns(ctx, turns)
	if err != nil {
		return fmt.Errorf("list runs to stop: %w", err)
	}
	_, err = o.queries.StopTasks(ctx, dbsqlc.StopTasksParams{
		RunIds: runs, Reason: string(v1alpha1.ReasonReplaced),
		Message: "a newer build replaces this one (concurrencyPolicy Replace)",
	})
	if err != nil {
		return fmt.Errorf("stop replaced tasks: %w", err)
	}
	return nil
}

// settle brings turns of which something has changed to the state that they are in now.
func (o *order) settle(ctx context.Context, turns map[int64]string) error {
	if len(turns) == 0 {
		return nil
	}
	facts, err := o.queries.TurnFacts(ctx, slices.Sorted(maps.Keys(turns)))
	if err != nil {
		return fmt.Errorf("read turns: %w", err)
	}
	var set dbsqlc.SetTurnsParams
	for _, fact := range facts {
		turn := o.find(turns[fact.TurnID], fact.TurnID)
		if turn == nil {
			continue // superseded before, and now over
		}
		// Only decide gives a turn: what has ended of one that waits was cancelled before it started.
		active := fact.IsActive && turn.State == trigger.TurnActive
		turn.State = trigger.AfterWork(fact.IsOpen, active, fact.Wants)
		turn.was = turn.State
		set.TurnIds, set.States = append(set.TurnIds, turn.id), append(set.States, string(turn.State))
	}
	if len(set.TurnIds) == 0 {
		return nil
	}
	return o.queries.SetTurns(ctx, set)
}
