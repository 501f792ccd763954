package store

import (
	"context"
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// GiveBuildTurns gives the turns of builds of a pipeline and ref anew, since one of them has
// ended, or something of the pipeline has changed.
func (s *Store) GiveBuildTurns(ctx context.Context, pipeline PipelineRef, ref string, templateExists bool) error {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		turns, err := lockBuildTurns(ctx, queries, pipeline, ref)
		if err != nil {
			return err
		}
		return turns.give(ctx, templateExists)
	})
	if err != nil {
		return fmt.Errorf("give turns of builds of %s: %w", pipeline.Name, err)
	}
	return nil
}

// buildTurns are the turns of builds of one pipeline and ref that a transaction has locked.
type buildTurns struct {
	queries  *dbsqlc.Queries
	pipeline PipelineRef
	ref      string
	newest   trigger.Place
}

func lockBuildTurns(ctx context.Context, queries *dbsqlc.Queries, pipeline PipelineRef, ref string) (*buildTurns, error) {
	ref = clean(ref)
	row, err := queries.LockBuildTurn(ctx, dbsqlc.LockBuildTurnParams{PipelineUid: pipeline.UID, Ref: ref})
	if err != nil {
		return nil, fmt.Errorf("lock turns of builds: %w", err)
	}
	return &buildTurns{queries: queries, pipeline: pipeline, ref: ref, newest: placeOf(row.NewestAt, row.NewestSeq)}, nil
}

// give decides whose turn it is.
func (b *buildTurns) give(ctx context.Context, templateExists bool) error {
	tasks, err := b.queries.OpenBuildTasks(ctx, dbsqlc.OpenBuildTasksParams{OwnerUid: b.pipeline.UID, Ref: b.ref})
	if err != nil {
		return fmt.Errorf("list builds that have not ended: %w", err)
	}
	turns := convert(tasks, func(task dbsqlc.OpenBuildTasksRow) trigger.Turn {
		return trigger.Turn{Build: task.BuildName, Place: placeOf(task.CreatedAt, task.Seq), State: buildTurnState(task, templateExists)}
	})
	var moves dbsqlc.MoveHeldBuildsParams
	for i, move := range trigger.Order(b.pipeline.Policy, b.newest, turns) {
		switch move.Kind {
		case trigger.MoveTake:
			if err := b.take(ctx, turns[i].Place); err != nil {
				return err
			}
			addMove(&moves, tasks[i].ID, StatusPending, "", "")
		case trigger.MoveSupersede:
			addMove(&moves, tasks[i].ID, StatusSuperseded, v1alpha1.ReasonSuperseded, overtaken(move.For))
		case trigger.MoveStop:
			if err := b.stop(ctx, tasks[i].ID, move.For); err != nil {
				return err
			}
		}
	}
	if len(moves.Ids) == 0 {
		return nil
	}
	return b.queries.MoveHeldBuilds(ctx, moves)
}

// buildTurnState is where the turn of a build stands by its task. One that waits for its
// template has yielded.
func buildTurnState(task dbsqlc.OpenBuildTasksRow, templateExists bool) trigger.TurnState {
	switch {
	case Status(task.Status) != StatusHeld:
		return trigger.TurnActive
	case v1alpha1.Reason(task.Reason) == v1alpha1.ReasonTurn || templateExists:
		return trigger.TurnWaiting
	default:
		return trigger.TurnYielded
	}
}

func overtaken(by string) string {
	if by == "" {
		return "a newer build of the same ref went first"
	}
	return fmt.Sprintf("overtaken by the newer build %s of the same ref", by)
}

func addMove(moves *dbsqlc.MoveHeldBuildsParams, id int64, status Status, reason v1alpha1.Reason, message string) {
	moves.Ids = append(moves.Ids, id)
	moves.Statuses = append(moves.Statuses, string(status))
	moves.Reasons = append(moves.Reasons, string(reason))
	moves.Messages = append(moves.Messages, message)
}

// take notes the place of a build that takes its turn. Builds without an order have none.
func (b *buildTurns) take(ctx context.Context, place trigger.Place) error {
	if b.pipeline.Policy == v1alpha1.ConcurrencyAllow {
		return nil
	}
	return b.queries.RaiseBuildTurn(ctx, dbsqlc.RaiseBuildTurnParams{
		PipelineUid: b.pipeline.UID, Ref: b.ref, NewestAt: timestamp(place.CreatedAt), NewestSeq: place.Seq,
	})
}

func (b *buildTurns) stop(ctx context.Context, id int64, by string) error {
	_, err := b.queries.StopBuildTasks(ctx, dbsqlc.StopBuildTasksParams{
		Ids: []int64{id}, Reason: string(v1alpha1.ReasonReplaced), Message: clean(fmt.Sprintf("replaced by the newer build %s of the same ref", by)),
	})
	return err
}
