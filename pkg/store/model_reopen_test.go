package store_test

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// reopen has Workflows go on whose tasks have ended, as trackers have read it now, or late.
func (w *world) reopen() (step, bool) {
	if w.random.IntN(4) > 0 { // or little would ever stay ended
		return step{}, false
	}
	var all []store.Observation
	for _, claim := range some(w.random, w.believed(), 3) {
		all = append(all, seen(claim.Claim, store.StatusRunning))
	}
	found, err := w.s.EndedOtherwise(w.t.Context(), all)
	require.NoError(w.t, err)
	if len(found) > 0 {
		w.doubts = append(w.doubts, found)
	}
	if len(w.doubts) == 0 {
		return step{}, false
	}
	doubts := w.doubts[len(w.doubts)-1]
	if w.random.IntN(4) == 0 {
		doubts = w.doubts[w.random.IntN(len(w.doubts))]
	}
	retried := make([]store.Retried, len(doubts))
	for i, doubt := range doubts {
		retried[i] = store.Retried{Doubt: doubt, Status: store.StatusRunning, Message: "retried in Argo"}
	}
	var reopened []store.Reopened
	return step{
		says: fmt.Sprintf("reopen %+v", doubts),
		do: func() (err error) {
			if _, err = w.s.Pool().Exec(w.t.Context(), "UPDATE cd_pipeline SET policy = 'Allow' WHERE policy <> 'Allow'"); err != nil {
				return err
			}
			reopened, err = w.s.Reopen(w.t.Context(), retried)
			return err
		},
		apply: func(m *model, _ bool) error { return m.reopen(doubts, reopened) },
	}, true
}

// timesReopened is how often tasks of a run's stages were.
func (m *model) timesReopened(run string) (times int64) {
	for _, stage := range stageOrder {
		if known, exists := m.stages[run+" "+string(stage)]; exists {
			times += int64(m.tasks[known.task].reopened)
		}
	}
	return times
}

var stageOrder = []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost}

// reopen has the tasks go on that have ended and were not reopened since, with their runs.
func (m *model) reopen(doubts []store.Doubt, reopened []store.Reopened) error {
	var want []string
	for _, doubt := range doubts {
		task, exists := m.tasks[doubt.WorkflowName]
		if exists && task.uid != "" && task.uid == doubt.WorkflowUID && task.reopened == doubt.Reopened && task.status.HasEnded() {
			want = append(want, doubt.WorkflowName)
		}
	}
	var got []string
	for _, task := range reopened {
		got = append(got, task.WorkflowName)
	}
	slices.Sort(want)
	want = slices.Compact(want) // one may have been claimed twice
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("reopened %v, want %v", got, want)
	}
	alone := map[string]bool{}
	for _, name := range want {
		alone[name] = m.isAlone(name, want)
	}
	for _, name := range want {
		if !alone[name] {
			m.goOn(name, want, alone)
		}
	}
	for _, name := range want {
		m.change(name, func(task *modelTask) {
			task.status, task.reason = store.StatusRunning, v1alpha1.ReasonWorkflowRetried
			task.submitted, task.started, task.finished, task.settled = true, true, false, alone[name]
			task.reopened++
		})
		m.moved(name)
	}
	return nil
}

// isAlone tells whether the stage has gone on with a later attempt, which has begun, has
// succeeded, or is retried as well.
func (m *model) isAlone(name string, retried []string) bool {
	task := m.tasks[name]
	later := func(other string) bool {
		return m.tasks[other].run == task.run && m.tasks[other].stage == task.stage && m.tasks[other].number > task.number
	}
	if slices.ContainsFunc(retried, later) {
		return true
	}
	current := m.stages[task.run+" "+string(task.stage)].task
	newer := m.tasks[current]
	waits := newer.status == store.StatusPending && newer.claims == 0
	failed := newer.status.HasEnded() && newer.status != store.StatusSucceeded && newer.settled
	return current != name && !waits && !failed
}

// goOn opens the run of a task again, once, and has the stages behind it wait that have not
// begun.
func (m *model) goOn(name string, retried []string, alone map[string]bool) {
	task := m.tasks[name]
	first := slices.IndexFunc(stageOrder, func(stage trigger.Stage) bool {
		return slices.ContainsFunc(retried, func(other string) bool {
			return !alone[other] && m.tasks[other].run == task.run && m.tasks[other].stage == stage
		})
	})
	if stageOrder[first] == task.stage {
		run := m.runs[task.run]
		m.runs[task.run] = modelRun{pipeline: run.pipeline}
		m.turns[task.run] = string(trigger.TurnActive)
		m.happened("Run", task.run, "Reopened", v1alpha1.ReasonWorkflowRetried)
		for _, stage := range stageOrder[first+1:] {
			if known, exists := m.stages[task.run+" "+string(stage)]; exists {
				m.waitAgain(known.task)
			}
		}
	}
	key := task.run + " " + string(task.stage)
	stage := m.stages[key]
	if newer := stage.task; newer != name {
		m.stages[key] = modelStage{stage.attempt, name}
		if m.tasks[newer].status == store.StatusPending {
			m.change(newer, func(task *modelTask) {
				task.status, task.reason, task.finished, task.settled = store.StatusCancelled, v1alpha1.ReasonWorkflowRetried, true, true
			})
			m.moved(newer)
		}
	}
}

// waitAgain has a stage wait for the one before it that has not begun.
func (m *model) waitAgain(name string) {
	task := m.tasks[name]
	neverWould := task.status == store.StatusCancelled && task.reason == v1alpha1.ReasonStageBeforeFailed
	isHeld := task.status == store.StatusHeld && task.reason != v1alpha1.ReasonStageBefore
	if !neverWould && !isHeld {
		return
	}
	m.change(name, func(task *modelTask) {
		if neverWould {
			task.reopened++
		}
		task.status, task.reason, task.finished, task.settled = store.StatusHeld, v1alpha1.ReasonStageBefore, false, false
	})
	m.moved(name)
}

// withoutTriggered leaves out what was triggered below a run before that was reopened, and
// what is below that.
func (m *model) withoutTriggered(build trigger.Build, decisions []trigger.Decision) (left []trigger.Decision) {
	goesOn := map[string]bool{}
	for _, decision := range decisions {
		pipeline := decision.Pipeline
		known := m.decisions[runKey(build.UID, string(pipeline.UID))]
		parent := pipeline.Spec.ParentRef
		if known.outcome == v1alpha1.OutcomeTriggered || parent.Kind == v1alpha1.ParentCdPipeline && goesOn[parent.Name] {
			goesOn[pipeline.Name] = true
			continue
		}
		left = append(left, decision)
	}
	return left
}
