package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// QueuedBuild is a build that is to run here.
type QueuedBuild struct {
	Build trigger.Build
	// Pipeline is its CiPipeline.
	Pipeline PipelineRef
	// Priority is its place in the queue: higher goes first.
	Priority int32
}

// QueueBuilds commits the tasks of builds of one pipeline and ref, each once, and gives the
// turns among them. Builds that are known together are to be queued together: one that comes
// after a newer one has no turn any more. templateExists lets builds go on that wait for the
// pipeline's template.
func (s *Store) QueueBuilds(ctx context.Context, queued []QueuedBuild, templateExists bool) error {
	if len(queued) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		for _, one := range queued {
			if err := queries.EnsureBuild(ctx, dbsqlc.EnsureBuildParams(planBuildParams(one.Build))); err != nil {
				return fmt.Errorf("note build: %w", err)
			}
		}
		turns, err := lockBuildTurns(ctx, queries, queued[0].Pipeline, queued[0].Build.Ref)
		if err != nil {
			return err
		}
		for _, one := range queued {
			if err := insertBuildTask(ctx, queries, one); err != nil {
				return err
			}
		}
		if err := turns.give(ctx, templateExists); err != nil {
			return err
		}
		return failpoint.Error(failpoint.BuildBeforeCommit)
	})
	if err != nil {
		return fmt.Errorf("queue builds of %s: %w", queued[0].Pipeline.Name, err)
	}
	return nil
}

// BuildIdentity is that of the Workflow of a build.
func BuildIdentity(buildUID, pipelineUID string) trigger.Identity {
	return trigger.Identity{BuildUID: buildUID, PipelineUID: pipelineUID, Run: 1, Stage: trigger.StageBuild}
}

func insertBuildTask(ctx context.Context, queries *dbsqlc.Queries, queued QueuedBuild) error {
	identity := BuildIdentity(queued.Build.UID, queued.Pipeline.UID)
	inputs, err := json.Marshal(trigger.Inputs{
		Build: queued.Build.Name, BuildUID: queued.Build.UID, Revision: clean(queued.Build.Revision), Ref: clean(queued.Build.Ref), Stage: trigger.StageBuild,
	})
	if err != nil {
		return fmt.Errorf("encode inputs: %w", err)
	}
	_, err = queries.InsertBuildTask(ctx, dbsqlc.InsertBuildTaskParams{
		Namespace: queued.Build.Namespace, OwnerName: queued.Pipeline.Name, OwnerUid: queued.Pipeline.UID,
		Identity: identity.Hash(), WorkflowName: trigger.WorkflowName(queued.Pipeline.Name, identity),
		Inputs: string(inputs), Priority: queued.Priority,
	})
	if err != nil {
		return fmt.Errorf("insert task: %w", err)
	}
	return nil
}

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

// StopDeletedBuilds ends what is under way of builds whose CiBuild was deleted, and returns
// how many.
func (s *Store) StopDeletedBuilds(ctx context.Context, most int) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	ids, err := s.queries.DeletedBuildTasks(ctx, dbsqlc.DeletedBuildTasksParams{Namespaces: s.namespaces, Most: int32(most)}) //nolint:gosec // most is a batch size
	if err != nil {
		return 0, fmt.Errorf("list tasks of deleted builds: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	stopped, err := s.queries.StopBuildTasks(ctx, dbsqlc.StopBuildTasksParams{
		Ids: ids, Reason: string(v1alpha1.ReasonBuildDeleted), Message: "the CiBuild was deleted",
	})
	if err != nil {
		return 0, fmt.Errorf("stop tasks of deleted builds: %w", err)
	}
	return stopped, nil
}

// CancelBuild ends a build because a request asks for it: what waits is cancelled now, what is
// active is stopped.
func (s *Store) CancelBuild(ctx context.Context, request Request, buildUID string) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		tasks, err := queries.BuildTasks(ctx, []string{buildUID})
		if err != nil {
			return Answer{}, fmt.Errorf("look for the task of the build: %w", err)
		}
		if len(tasks) == 0 {
			return Answer{}, refuse("CiBuild %s does not run here: end it where it runs", request.BuildName)
		}
		message := "cancelled by " + request.Actor
		if request.Reason != "" {
			message += ": " + request.Reason
		}
		stopped, err := queries.StopBuildTasks(ctx, dbsqlc.StopBuildTasksParams{
			Ids: []int64{tasks[0].ID}, Reason: string(v1alpha1.ReasonCancelled), Message: clean(message), Actor: clean(request.Actor),
		})
		if err != nil {
			return Answer{}, fmt.Errorf("stop task of build: %w", err)
		}
		if stopped == 0 {
			return Answer{}, refuse("there is nothing to cancel: CiBuild %s has ended, or is being stopped", request.BuildName)
		}
		return Answer{Phase: v1alpha1.RequestDone, Message: fmt.Sprintf("build %s is cancelled", request.BuildName)}, nil
	})
}

// BuildTask is where the task of a build stands.
type BuildTask struct {
	ID       int64
	BuildUID string
	// PipelineUID is that of the CiPipeline that it was queued for.
	PipelineUID               string
	Status                    Status
	Reason                    v1alpha1.Reason
	Message                   string
	WorkflowName, WorkflowUID string
	// HadWorkflow tells that its Workflow was created.
	HadWorkflow           bool
	StartedAt, FinishedAt pgtype.Timestamptz
	// For is how long it has stood there, by the database's clock.
	For time.Duration
}

// BuildTasks returns the tasks of builds, by the UID of their CiBuild.
func (s *Store) BuildTasks(ctx context.Context, buildUIDs ...string) (map[string]BuildTask, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.BuildTasks(ctx, buildUIDs)
	if err != nil {
		return nil, fmt.Errorf("read tasks of builds: %w", err)
	}
	tasks := make(map[string]BuildTask, len(rows))
	for _, row := range rows {
		tasks[row.BuildUid] = BuildTask{
			ID: row.ID, BuildUID: row.BuildUid, PipelineUID: row.OwnerUid, Status: Status(row.Status), Reason: v1alpha1.Reason(row.Reason), Message: row.Message,
			WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid, HadWorkflow: row.SubmittedAt.Valid,
			StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, For: time.Duration(row.ForSeconds * float64(time.Second)),
		}
	}
	return tasks, nil
}

// EndTemplateWait ends a build that has waited too long for its template.
func (s *Store) EndTemplateWait(ctx context.Context, task int64, message string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var move dbsqlc.MoveHeldBuildsParams
	addMove(&move, task, StatusError, v1alpha1.ReasonTemplateNotFound, clean(message))
	if err := s.queries.MoveHeldBuilds(ctx, move); err != nil {
		return fmt.Errorf("end build that waits for its template: %w", err)
	}
	return nil
}

// CancelHeldBuild ends a build that waits for its turn or its template in a CiPipeline that was
// deleted.
func (s *Store) CancelHeldBuild(ctx context.Context, task int64, message string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var move dbsqlc.MoveHeldBuildsParams
	addMove(&move, task, StatusCancelled, v1alpha1.ReasonPipelineDeleted, clean(message))
	if err := s.queries.MoveHeldBuilds(ctx, move); err != nil {
		return fmt.Errorf("end build of a deleted pipeline: %w", err)
	}
	return nil
}

// EndedBuild is a build whose task has ended.
type EndedBuild struct {
	BuildTask
	Namespace, BuildName, Ref string
	Pipeline                  PipelineRef
}

// EndedBuilds returns up to most builds whose task has ended and is not settled, but for the
// tasks with these ids.
func (s *Store) EndedBuilds(ctx context.Context, most int, passedOver []int64) ([]EndedBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.EndedBuildTasks(ctx, dbsqlc.EndedBuildTasksParams{
		Namespaces: s.namespaces, PassedOver: append([]int64{}, passedOver...), Most: int32(most), //nolint:gosec // most is a batch size
	})
	if err != nil {
		return nil, fmt.Errorf("list builds that have ended: %w", err)
	}
	return convert(rows, func(row dbsqlc.EndedBuildTasksRow) EndedBuild {
		return EndedBuild{
			Namespace: row.Namespace, BuildName: row.BuildName, Ref: row.Ref,
			Pipeline: PipelineRef{UID: row.OwnerUid, Namespace: row.Namespace, Name: row.OwnerName},
			BuildTask: BuildTask{
				ID: row.ID, BuildUID: row.BuildUid, PipelineUID: row.OwnerUid, Status: Status(row.Status), Reason: v1alpha1.Reason(row.Reason), Message: row.Message,
				WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid, HadWorkflow: row.SubmittedAt.Valid,
				StartedAt: row.StartedAt, FinishedAt: row.FinishedAt,
			},
		}
	}), nil
}

// SettleBuilds notes that the CiBuilds of these tasks say how they ended.
func (s *Store) SettleBuilds(ctx context.Context, ids []int64) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if err := s.queries.SettleBuildTasks(ctx, ids); err != nil {
		return fmt.Errorf("settle builds: %w", err)
	}
	return nil
}
