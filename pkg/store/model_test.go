package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// model is what the tables must hold, computed without them: each method is the
// promise of one method of the store. A method returns an error where the answer
// that the store gave cannot be. Its pipelines run any number of builds at once:
// what becomes of those that run one at a time is the subject of traffic_test.go.
type model struct {
	builds    map[string]bool          // by UID
	runs      map[string]modelRun      // by build UID and pipeline UID
	turns     map[string]string        // the same
	stages    map[string]modelStage    // by run and stage
	tasks     map[string]modelTask     // by the name of the Workflow
	decisions map[string]modelDecision // by build UID and pipeline UID
	events    map[string]int           // how often each was written
	names     map[int64]string         // of the Workflows of tasks that have ended, by id
}

// modelRun is one run of a pipeline for a build's only artifact.
type modelRun struct{ pipeline, outcome string }

// modelStage is a stage of a run, and the name of the Workflow of its task.
type modelStage struct {
	attempt int32
	task    string
}

type modelDecision struct {
	outcome  v1alpha1.Outcome
	reason   v1alpha1.Reason
	message  string
	waitsFor string
}

// modelTask is one task of a stage. Its flags say which times are set; expired, that its
// lease has run out; delayed, that it is left alone for longer than the test lasts.
type modelTask struct {
	run, pipelineUID, identity, uid, claimedBy string
	stage                                      trigger.Stage
	number, reopened                           int32 // of the attempt, and how often it was reopened
	status                                     store.Status
	reason                                     v1alpha1.Reason
	claims, failures                           int32

	leased, expired, delayed, submitted, started, finished, settled bool
}

func newModel() *model {
	return &model{
		builds: map[string]bool{}, runs: map[string]modelRun{}, turns: map[string]string{}, stages: map[string]modelStage{},
		tasks: map[string]modelTask{}, decisions: map[string]modelDecision{}, events: map[string]int{}, names: map[int64]string{},
	}
}

func (m *model) clone() *model {
	return &model{
		maps.Clone(m.builds), maps.Clone(m.runs), maps.Clone(m.turns), maps.Clone(m.stages), maps.Clone(m.tasks), maps.Clone(m.decisions), maps.Clone(m.events), m.names,
	}
}

// change moves one task.
func (m *model) change(name string, move func(*modelTask)) {
	task := m.tasks[name]
	move(&task)
	m.tasks[name] = task
}

// happened notes an event.
func (m *model) happened(kind string, of any, state, reason any) {
	m.events[fmt.Sprintf("%s %s %s [%s]", kind, of, state, reason)]++
}

// moved notes the event of a task that has changed.
func (m *model) moved(name string) {
	m.happened("Task", name, m.tasks[name].status, m.tasks[name].reason)
}

// claimable are the tasks that a claim may take.
func (m *model) claimable() (names []string) {
	for name, task := range m.tasks {
		if task.status == store.StatusPending && !task.delayed {
			names = append(names, name)
		}
	}
	return names
}

func (m *model) plan(plan store.BuildPlan, planned bool) error {
	if planned == m.builds[plan.Build.UID] {
		return fmt.Errorf("planned %t a build that was planned before: %t", planned, m.builds[plan.Build.UID])
	}
	if planned {
		m.builds[plan.Build.UID] = true
		m.decide(plan.Build, plan.Decisions)
	}
	return nil
}

// decide starts the runs that decisions trigger and that are not there, and writes
// every decision but over one that tells of a run.
func (m *model) decide(build trigger.Build, decisions []trigger.Decision) {
	before := maps.Clone(m.runs)
	for _, decision := range decisions {
		key := runKey(build.UID, string(decision.Pipeline.UID))
		if _, ran := before[runKey(build.UID, decision.WaitsFor)]; ran {
			continue // what waits for a run that there was before was decided on with that
		}
		if _, exists := m.runs[key]; !exists && decision.StartsRun() {
			m.start(key, build.UID, decision.Pipeline)
		}
		known := m.decisions[key]
		made := modelDecision{decision.Outcome, decision.Reason, decision.Message, decision.WaitsFor}
		if known.outcome != v1alpha1.OutcomeTriggered && known != made {
			m.decisions[key] = made
			m.happened("Decision", key, made.outcome, made.reason)
		}
	}
}

func runKey(buildUID, pipelineUID string) string { return buildUID + "/" + pipelineUID }

// start makes a run with all its stages: the first starts, unless something holds it.
func (m *model) start(key, buildUID string, pipeline *v1alpha1.CdPipeline) {
	m.runs[key] = modelRun{pipeline: pipeline.Name}
	for i, stage := range trigger.Stages(pipeline, "") {
		task := modelTask{stage: stage, status: store.StatusHeld, reason: v1alpha1.ReasonStageBefore}
		if i == 0 {
			task.status, task.reason = released(trigger.HoldOf(pipeline, stage, false))
			m.turns[key] = turnWith(task.status)
		}
		m.add(key, buildUID, pipeline.Name, string(pipeline.UID), 1, task)
	}
}

// released is where a stage is that is let go, but for what holds it.
func released(hold trigger.Hold) (store.Status, v1alpha1.Reason) {
	if hold == (trigger.Hold{}) {
		return store.StatusPending, ""
	}
	return store.StatusHeld, hold.Reason
}

// turnWith is the state of a turn of which one task is left.
func turnWith(status store.Status) string {
	if status == store.StatusHeld {
		return string(trigger.TurnYielded)
	}
	return string(trigger.TurnActive)
}

// add makes a task, to which its stage points from now on.
func (m *model) add(key, buildUID, pipeline, pipelineUID string, attempt int32, task modelTask) {
	identity := identityOf(buildUID, pipelineUID, task.stage, attempt)
	name := trigger.WorkflowName(pipeline, identity)
	task.run, task.pipelineUID, task.identity, task.number = key, pipelineUID, identity.Hash(), attempt
	m.tasks[name] = task
	m.stages[key+" "+string(task.stage)] = modelStage{attempt, name}
	if task.reason != v1alpha1.ReasonStageBefore {
		m.moved(name)
	}
}

// claim gives up to most tasks to a worker; all that it may when nobody else holds any.
func (m *model) claim(worker string, most int, claims []store.Claim, alone bool) error {
	if want := min(most, len(m.claimable())); len(claims) > want || alone && len(claims) < want {
		return fmt.Errorf("claimed %d, want %d", len(claims), want)
	}
	for _, claim := range claims {
		task := m.tasks[claim.WorkflowName]
		if task.status != store.StatusPending || task.delayed || claim.Attempt != task.claims+1 || claim.Failures != task.failures {
			return fmt.Errorf("claimed %s, attempt %d, which is %+v", claim.WorkflowName, claim.Attempt, task)
		}
		m.change(claim.WorkflowName, func(task *modelTask) {
			task.status, task.claims, task.claimedBy = store.StatusSubmitting, claim.Attempt, worker
			task.leased, task.expired = true, false
		})
	}
	return nil
}

// complete moves what is still the worker's, and only to where a worker may.
func (m *model) complete(worker string, completions []completion, moved []store.Moved) error {
	may := []store.Status{store.StatusSubmitted, store.StatusPending, store.StatusHeld, store.StatusError, store.StatusCancelled}
	var want []int64
	for _, c := range completions {
		task := m.tasks[c.name]
		if task.status != store.StatusSubmitting || task.claimedBy != worker || task.claims != c.Attempt || !slices.Contains(may, c.Status) {
			continue
		}
		want = append(want, c.ID)
		m.change(c.name, func(task *modelTask) {
			task.status, task.reason, task.leased, task.expired, task.delayed = c.Status, c.Reason, false, false, c.Delay > 0
			task.submitted = task.submitted || c.Status == store.StatusSubmitted
			task.finished = task.finished || c.Status.HasEnded()
			if c.Failed {
				task.failures++
			}
			if c.WorkflowUID != "" {
				task.uid = c.WorkflowUID
			}
			if c.Status == store.StatusPending || c.Status == store.StatusHeld {
				task.claimedBy = ""
			}
		})
		if c.Status != store.StatusPending || c.Reason != "" {
			m.moved(c.name)
		}
	}
	return sameRows(want, moved)
}

// runOut lets a lease run out.
func (m *model) runOut(name string) {
	m.change(name, func(task *modelTask) { task.expired = task.leased })
}

// reclaim gives back what has run out.
func (m *model) reclaim() {
	for name, task := range m.tasks {
		if task.status == store.StatusSubmitting && task.expired {
			m.change(name, func(task *modelTask) {
				task.status, task.claimedBy, task.leased, task.expired = store.StatusPending, "", false, false
			})
		}
	}
}

// observe moves tasks forward to where their own Workflows were seen.
func (m *model) observe(observations []observation, moved []store.Moved) error {
	var want []int64
	for _, seen := range observations {
		task, exists := m.tasks[seen.WorkflowName]
		own := exists && seen.Namespace == given.Namespace && (task.uid == seen.WorkflowUID || task.uid == "" && task.identity == seen.Identity)
		to := observed(task.status, seen.Status)
		if seen.Gone != 0 {
			seen.WorkflowName = seen.name
			task, own = m.tasks[seen.name], true
			to = lost(task.status)
		}
		if !own || to == task.status {
			continue
		}
		want = append(want, seen.id)
		m.change(seen.WorkflowName, func(task *modelTask) {
			task.submitted = true
			task.started = task.started || seen.Gone == 0 && to != store.StatusSubmitted
			task.status, task.reason, task.finished = to, seen.Reason, to.HasEnded()
			task.leased, task.expired = false, false
			if seen.Gone == 0 && task.uid == "" {
				task.uid = seen.WorkflowUID
			}
		})
		m.moved(seen.WorkflowName)
	}
	return sameRows(want, moved)
}

// cancelWaiting ends what waits of a pipeline, but for stages behind others. What was
// claimed before may have a Workflow: whoever claims it next, at once, looks.
func (m *model) cancelWaiting(pipelineUID string, reason v1alpha1.Reason, moved []store.Moved) error {
	touched := 0
	for name, task := range m.tasks {
		waits := task.status == store.StatusPending || task.status == store.StatusHeld && task.reason != v1alpha1.ReasonStageBefore
		if task.pipelineUID != pipelineUID || !waits {
			continue
		}
		touched++
		m.change(name, func(task *modelTask) { task.delayed = false })
		if task.claims == 0 || task.status == store.StatusHeld {
			m.change(name, func(task *modelTask) { task.status, task.reason, task.finished = store.StatusCancelled, reason, true })
			m.moved(name)
		}
	}
	if len(moved) != touched {
		return fmt.Errorf("cancelled %d, want %d", len(moved), touched)
	}
	return nil
}

// unfollowed are the ended stages whose consequence is not committed.
func (m *model) unfollowed() (names []string) {
	for name, task := range m.tasks {
		if task.status.HasEnded() && !task.settled {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// follow commits all consequences, or none where one was committed before.
func (m *model) follow(consequences []store.Consequence, err error) error {
	stale := false
	for _, consequence := range consequences {
		task := m.tasks[m.names[consequence.Ended.ID]]
		stale = stale || task.settled || !task.status.HasEnded() || m.timesReopened(task.run) != consequence.Ended.Reopened
	}
	if stale != errors.Is(err, store.ErrStale) || !stale && err != nil {
		return fmt.Errorf("followed with %w, want stale: %t", err, stale)
	}
	if stale {
		return nil
	}
	var builds []trigger.Build
	below := map[trigger.Build][]trigger.Decision{}
	reopened := map[trigger.Build]bool{}
	for _, consequence := range consequences {
		m.conclude(consequence)
		build := consequence.Ended.Build
		if !slices.Contains(builds, build) {
			builds = append(builds, build)
		}
		below[build] = together(below[build], consequence.Decisions)
		reopened[build] = reopened[build] || len(consequence.Decisions) > 0 && consequence.Ended.Reopened > 0
	}
	for _, build := range builds {
		decisions := below[build]
		if reopened[build] {
			decisions = m.withoutTriggered(build, decisions)
		}
		m.decide(build, decisions)
	}
	for _, consequence := range consequences {
		if consequence.Outcome != "" {
			m.settleWaiting(consequence.Ended)
		}
	}
	return nil
}

// settleWaiting settles what waited for a run that has ended, and was not decided anew. The
// walk deletes no pipeline that the tables know of.
func (m *model) settleWaiting(ended store.Ended) {
	for key, decision := range m.decisions {
		if decision.waitsFor != ended.PipelineUID || !strings.HasPrefix(key, ended.Build.UID+"/") {
			continue
		}
		made := modelDecision{
			v1alpha1.OutcomeSkipped, v1alpha1.ReasonParentChanged,
			"it hangs below CdPipeline " + ended.Pipeline + " no longer: its new parent triggers it", "",
		}
		m.decisions[key] = made
		m.happened("Decision", key, made.outcome, made.reason)
	}
}

// together is one decision for each pipeline: that a run starts counts more than that
// it does not.
func together(all, more []trigger.Decision) []trigger.Decision {
	for _, decision := range more {
		i := slices.IndexFunc(all, func(known trigger.Decision) bool { return known.Pipeline.UID == decision.Pipeline.UID })
		switch {
		case i < 0:
			all = append(all, decision)
		case all[i].Outcome != v1alpha1.OutcomeTriggered:
			all[i] = decision
		}
	}
	return all
}

func (m *model) conclude(consequence store.Consequence) {
	ended := consequence.Ended
	m.change(m.names[ended.ID], func(task *modelTask) { task.settled = true })
	key := runKey(ended.Build.UID, ended.PipelineUID)
	switch {
	case consequence.Next != "":
		next := m.stages[key+" "+string(consequence.Next)].task
		status, reason := released(consequence.Hold)
		// Two stages of a reopened run may have ended before either was followed.
		if task := m.tasks[next]; task.status == store.StatusHeld && (task.status != status || task.reason != reason) {
			m.change(next, func(task *modelTask) { task.status, task.reason = status, reason })
			m.moved(next)
		}
		m.turns[key] = turnWith(status)
	case consequence.Outcome == "" && !consequence.Retries:
		// The next stage had begun before this one was reopened.
		if m.turns[key] == string(trigger.TurnActive) && !m.isUnderWay(key) {
			m.turns[key] = string(trigger.TurnYielded)
		}
	case consequence.Retries:
		m.add(key, ended.Build.UID, ended.Pipeline, ended.PipelineUID, ended.Attempt+1,
			modelTask{stage: ended.Stage, status: store.StatusPending, delayed: consequence.RetryAfter > 0})
	case consequence.Outcome != "":
		m.end(key, ended, consequence.Outcome)
	}
}

// isUnderWay tells whether a stage of a run waits for a slot, or has begun and is not followed.
func (m *model) isUnderWay(key string) bool {
	return slices.ContainsFunc(stageOrder, func(stage trigger.Stage) bool {
		known, exists := m.stages[key+" "+string(stage)]
		task := m.tasks[known.task]
		return exists && !task.settled && task.status != store.StatusHeld
	})
}

// end ends a run: stages that have not begun never do.
func (m *model) end(key string, ended store.Ended, outcome store.Status) {
	for name, task := range m.tasks {
		if task.run != key || task.status != store.StatusHeld || task.reason != v1alpha1.ReasonStageBefore {
			continue
		}
		m.change(name, func(task *modelTask) {
			task.status, task.reason, task.finished, task.settled = store.StatusCancelled, v1alpha1.ReasonStageBeforeFailed, true, true
		})
		m.moved(name)
	}
	m.turns[key] = string(trigger.TurnEnded)
	if m.runs[key].outcome != "" {
		return // two stages of a reopened run have ended before either was followed
	}
	m.runs[key] = modelRun{ended.Pipeline, string(outcome)}
	m.happened("Run", key, outcome, "")
}
