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

// Record records what became of a request that was carried out elsewhere, such as at the API
// server.
func (s *Store) Record(ctx context.Context, request Request, answer Answer) (Answer, error) {
	return s.carryOut(ctx, request, func(context.Context, *dbsqlc.Queries) (Answer, error) { return answer, nil })
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
			build: starting.Build, decisions: starting.Decisions, request: request.key(), actor: clean(request.Actor), actorReason: clean(request.Reason),
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
			Reason: string(v1alpha1.ReasonCancelled), Message: clean(message), Actor: clean(request.Actor), ActorReason: clean(request.Reason),
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
