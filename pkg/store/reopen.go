package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Doubt is a task that has ended otherwise than its Workflow looks.
type Doubt struct {
	Namespace, WorkflowName, WorkflowUID string
	Identity                             string
	// Reopened is how often the task has been reopened. A Workflow that goes on by a read
	// which began later was retried since.
	Reopened int32
}

// EndedOtherwise returns, of what was seen, the tasks that have ended otherwise: their
// Workflow was retried in Argo, or what was seen is out of date.
func (s *Store) EndedOtherwise(ctx context.Context, seen []Observation) ([]Doubt, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	params := dbsqlc.EndedOtherwiseParams{Cluster: s.cluster}
	for _, observation := range seen {
		params.Namespaces = append(params.Namespaces, observation.Namespace)
		params.WorkflowNames = append(params.WorkflowNames, observation.WorkflowName)
		params.WorkflowUids = append(params.WorkflowUids, clean(observation.WorkflowUID))
		params.Statuses = append(params.Statuses, string(observation.Status))
	}
	rows, err := s.queries.EndedOtherwise(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("look for tasks that ended otherwise: %w", err)
	}
	return convert(rows, func(row dbsqlc.EndedOtherwiseRow) Doubt {
		return Doubt{
			Namespace: row.Namespace, WorkflowName: row.WorkflowName, WorkflowUID: row.WorkflowUid,
			Identity: row.Identity, Reopened: row.Reopened,
		}
	}), nil
}

// Retried is a task whose Workflow was retried in Argo.
type Retried struct {
	Doubt
	// Status is where the Workflow is now: Running, Succeeded, Failed or Error. A task that
	// has ended like that stays.
	Status Status
	// Message tells of the retry.
	Message string
}

// Reopened is a task that goes on.
type Reopened struct {
	Moved
	Stage trigger.Stage
	// Why is empty where what comes after the stage follows its new end, and else tells
	// why nothing does.
	Why string
}

// Reopen has tasks go on whose Workflows were retried in Argo, with their runs, and returns
// them, as Running; those that were reopened meanwhile, or that never ended, stay. The build takes its
// turn once more where no newer one has had its turn since; where one has, the run follows
// its Workflow, and nothing comes after it. Later stages that have not begun wait again.
func (s *Store) Reopen(ctx context.Context, retried []Retried) ([]Reopened, error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	var r *reopening
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		r = newReopening(queries, retried)
		r.params.Cluster = s.cluster
		return r.commit(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("reopen tasks: %w", err)
	}
	return r.reopened, nil
}

// reopening is one transaction that reopens tasks.
type reopening struct {
	queries  *dbsqlc.Queries
	params   dbsqlc.ReopenableTasksParams
	tasks    []dbsqlc.ReopenableTasksRow
	order    *order
	turns    map[int64]string // those that something changes of, with their pipelines
	why      map[int64]string // of tasks that nothing comes after
	moves    dbsqlc.ReopenTasksParams
	reopened []Reopened
}

func newReopening(queries *dbsqlc.Queries, retried []Retried) *reopening {
	r := &reopening{queries: queries, turns: map[int64]string{}, why: map[int64]string{}}
	for _, one := range retried {
		r.params.Namespaces = append(r.params.Namespaces, one.Namespace)
		r.params.WorkflowNames = append(r.params.WorkflowNames, one.WorkflowName)
		r.params.WorkflowUids = append(r.params.WorkflowUids, one.WorkflowUID)
		r.params.Counts = append(r.params.Counts, one.Reopened)
		r.params.Statuses = append(r.params.Statuses, string(one.Status))
		r.params.Messages = append(r.params.Messages, clean(one.Message))
	}
	return r
}

func (r *reopening) commit(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		r.lock, r.retakeTurns, r.reopenRuns, r.reopenTasks, r.settleTurns,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lock locks the pipelines before tasks, as whoever needs both does, and reads the tasks
// once more, as they are now. The tasks are locked too: a worker claims an attempt that
// waits without a lock of its pipeline.
func (r *reopening) lock(ctx context.Context) error {
	if err := r.read(ctx); err != nil || len(r.tasks) == 0 {
		return err
	}
	refs := convert(r.tasks, pipelineOf)
	builds := convert(r.tasks, func(task dbsqlc.ReopenableTasksRow) string { return task.BuildUid })
	var err error
	if r.order, err = lockPipelines(ctx, r.queries, refs, builds...); err != nil {
		return err
	}
	if err := r.queries.LockReopenable(ctx, dbsqlc.LockReopenableParams{
		Cluster: r.params.Cluster, Namespaces: r.params.Namespaces, WorkflowNames: r.params.WorkflowNames, WorkflowUids: r.params.WorkflowUids,
	}); err != nil {
		return fmt.Errorf("lock tasks to reopen: %w", err)
	}
	return r.read(ctx)
}

func (r *reopening) read(ctx context.Context) error {
	var err error
	if r.tasks, err = r.queries.ReopenableTasks(ctx, r.params); err != nil {
		return fmt.Errorf("read tasks to reopen: %w", err)
	}
	return nil
}

func pipelineOf(task dbsqlc.ReopenableTasksRow) PipelineRef {
	return PipelineRef{UID: task.PipelineUid, Namespace: task.Namespace, Name: task.Pipeline, Policy: v1alpha1.ConcurrencyPolicy(task.Policy)}
}

// isAlone tells whether the stage has gone on with another attempt, which may have a
// Workflow of its own, or has succeeded.
func (r *reopening) isAlone(task dbsqlc.ReopenableTasksRow) bool {
	if slices.ContainsFunc(r.tasks, func(other dbsqlc.ReopenableTasksRow) bool { return other.StageID == task.StageID && other.ID > task.ID }) {
		return true
	}
	if task.NewerID == 0 {
		return false
	}
	newer := Status(task.NewerStatus)
	waits := newer == StatusPending && task.NewerClaims == 0
	failed := newer.HasEnded() && newer != StatusSucceeded && task.NewerSettled
	return !waits && !failed
}

const (
	whyAlone     = "its stage has gone on with another attempt: nothing comes after this one"
	whyOvertaken = "another build has had its turn in this pipeline since: nothing comes after this stage; to go on with this build, create a RunRequest with action Trigger and allowOlder"
)

// retakeTurns gives the builds their turn once more, or notes why not.
func (r *reopening) retakeTurns(ctx context.Context) error {
	var retaken []int64
	for _, task := range r.tasks {
		if r.isAlone(task) {
			r.why[task.ID] = whyAlone
			continue
		}
		r.turns[task.TurnID] = task.PipelineUid
		switch turn, retakes := r.retakes(task); {
		case !retakes:
			r.why[task.ID] = whyOvertaken
		case turn.State != trigger.TurnActive:
			turn.State, turn.was = trigger.TurnActive, trigger.TurnActive
			retaken = append(retaken, turn.id)
		}
	}
	if len(retaken) == 0 {
		return nil
	}
	if err := r.queries.RetakeTurns(ctx, retaken); err != nil {
		return fmt.Errorf("retake turns: %w", err)
	}
	return nil
}

// retakes returns the turn of a task's run, and whether its build may have it now.
func (r *reopening) retakes(task dbsqlc.ReopenableTasksRow) (*liveTurn, bool) {
	pipeline := r.order.pipelines[task.PipelineUid]
	turn := r.order.find(task.PipelineUid, task.TurnID)
	if turn != nil && turn.State == trigger.TurnActive {
		return turn, true
	}
	if turn == nil {
		state := trigger.TurnState(task.State)
		turn = &liveTurn{id: task.TurnID, was: state, buildUID: task.BuildUid, request: task.Request, Turn: trigger.Turn{
			Build: task.BuildName, Place: placeOf(task.BuiltAt, task.BuildSeq), State: state, Asked: task.Asked,
		}}
	}
	var others []trigger.Turn
	for _, other := range pipeline.turns {
		if other.id != turn.id {
			others = append(others, other.Turn)
		}
	}
	if task.OvertakenSince && pipeline.Policy != v1alpha1.ConcurrencyAllow || !trigger.Retakes(pipeline.Policy, pipeline.newest, turn.Turn, others) {
		return nil, false
	}
	if !slices.Contains(pipeline.turns, turn) {
		pipeline.turns = append(pipeline.turns, turn)
	}
	return turn, true
}

// reopenRuns opens the runs again, each once.
func (r *reopening) reopenRuns(ctx context.Context) error {
	var params dbsqlc.ReopenRunsParams
	for _, task := range r.tasks {
		if r.why[task.ID] == whyAlone || slices.Contains(params.RunIds, task.RunID) {
			continue
		}
		reason, message, overtaken := v1alpha1.ReasonWorkflowRetried, task.Message, r.why[task.ID] != ""
		if overtaken {
			reason, message = v1alpha1.ReasonSuperseded, message+"; "+whyOvertaken
		}
		params.RunIds = append(params.RunIds, task.RunID)
		params.Overtaken = append(params.Overtaken, overtaken)
		params.Reasons = append(params.Reasons, string(reason))
		params.Messages = append(params.Messages, message)
	}
	if len(params.RunIds) == 0 {
		return nil
	}
	if err := r.queries.ReopenRuns(ctx, params); err != nil {
		return fmt.Errorf("reopen runs: %w", err)
	}
	return r.holdLaterStages(ctx, params.RunIds)
}

var stageOrder = []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost}

// holdLaterStages has stages wait again that come after those which go on, unless they have
// begun.
func (r *reopening) holdLaterStages(ctx context.Context, runs []int64) error {
	first := map[int64]int{} // the place of the first stage of each run that goes on
	for _, task := range r.tasks {
		place := slices.Index(stageOrder, trigger.Stage(task.Stage))
		if known, exists := first[task.RunID]; r.why[task.ID] != whyAlone && (!exists || place < known) {
			first[task.RunID] = place
		}
	}
	unbegun, err := r.queries.UnbegunStages(ctx, runs)
	if err != nil {
		return fmt.Errorf("read later stages: %w", err)
	}
	var back dbsqlc.PointStagesBackParams
	for _, stage := range unbegun {
		if slices.Index(stageOrder, trigger.Stage(stage.Stage)) > first[stage.RunID] {
			r.move(stage.ID, StatusHeld, stage.Reopened, false, trigger.StageBeforeHold.Message)
			back.StageIds, back.TaskIds = append(back.StageIds, stage.StageID), append(back.TaskIds, stage.ID)
		}
	}
	for _, task := range r.tasks {
		if task.NewerID != 0 && r.why[task.ID] != whyAlone {
			back.StageIds, back.TaskIds = append(back.StageIds, task.StageID), append(back.TaskIds, task.ID)
		}
	}
	if len(back.StageIds) == 0 {
		return nil
	}
	if err := r.queries.PointStagesBack(ctx, back); err != nil {
		return fmt.Errorf("point stages back: %w", err)
	}
	return nil
}

func (r *reopening) move(id int64, becomes Status, count int32, alone bool, message string) {
	r.moves.Ids = append(r.moves.Ids, id)
	r.moves.Becomes = append(r.moves.Becomes, string(becomes))
	r.moves.Counts = append(r.moves.Counts, count)
	r.moves.Alone = append(r.moves.Alone, alone)
	r.moves.Messages = append(r.moves.Messages, message)
}

// reopenTasks moves all tasks in one statement, which locks them in the order of their ids.
func (r *reopening) reopenTasks(ctx context.Context) error {
	byID := map[int64]dbsqlc.ReopenableTasksRow{}
	for _, task := range r.tasks {
		byID[task.ID] = task
		message := task.Message
		if why := r.why[task.ID]; why != "" {
			message += "; " + why
		}
		r.move(task.ID, StatusRunning, task.Reopened, r.why[task.ID] == whyAlone, message)
		if task.NewerID != 0 && r.why[task.ID] != whyAlone && Status(task.NewerStatus) == StatusPending {
			r.move(task.NewerID, StatusCancelled, task.NewerReopened, false, "the Workflow of the attempt before, "+task.WorkflowName+", was retried in Argo")
		}
	}
	if len(r.moves.Ids) == 0 {
		return nil
	}
	rows, err := r.queries.ReopenTasks(ctx, r.moves)
	if err != nil {
		return fmt.Errorf("move tasks: %w", err)
	}
	for _, row := range rows {
		if task, named := byID[row.ID]; named {
			r.reopened = append(r.reopened, Reopened{Moved: Moved(row), Stage: trigger.Stage(task.Stage), Why: r.why[row.ID]})
		}
	}
	return nil
}

// settleTurns brings the turns to where their runs are, and decides whose turn it is now.
func (r *reopening) settleTurns(ctx context.Context) error {
	if len(r.turns) == 0 {
		return nil
	}
	if err := r.order.settle(ctx, r.turns); err != nil {
		return err
	}
	return r.order.decide(ctx)
}
