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
// that the store gave cannot be.
type model struct {
	builds    map[string]bool     // by UID
	runs      map[string]modelRun // by build UID and pipeline UID
	rows      map[string]modelRow // by the name of the Workflow
	decisions map[string]string   // by build UID and pipeline UID: outcome and reason
}

// modelRun is one run of a pipeline for a build's only artifact.
type modelRun struct{ pipeline, outcome string }

// modelRow is one stage of a run. Its flags say which times are set; expired, that its
// lease has run out; delayed, that it is left alone for longer than the test lasts.
type modelRow struct {
	run       string
	stage     trigger.Stage
	status    store.Status
	attempt   int32
	claimedBy string

	leased, expired, delayed, submitted, started, finished, followed bool
}

func newModel() *model {
	return &model{builds: map[string]bool{}, runs: map[string]modelRun{}, rows: map[string]modelRow{}, decisions: map[string]string{}}
}

func (m *model) clone() *model {
	return &model{maps.Clone(m.builds), maps.Clone(m.runs), maps.Clone(m.rows), maps.Clone(m.decisions)}
}

// change moves one row.
func (m *model) change(name string, move func(*modelRow)) {
	row := m.rows[name]
	move(&row)
	m.rows[name] = row
}

// claimable are the rows that a claim may take.
func (m *model) claimable() (names []string) {
	for name, row := range m.rows {
		if row.status == store.StatusPending && !row.delayed {
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
	for _, decision := range decisions {
		key := runKey(build.UID, string(decision.Pipeline.UID))
		if _, exists := m.runs[key]; !exists && decision.Outcome == v1alpha1.OutcomeTriggered {
			m.runs[key] = modelRun{pipeline: decision.Pipeline.Name}
			m.start(key, build.UID, decision.Pipeline.Name, string(decision.Pipeline.UID), trigger.FirstStage(decision.Pipeline))
		}
		if m.decisions[key] != triggered && m.decisions[key] != onHold {
			m.decisions[key] = fmt.Sprint(decision.Outcome, " ", decision.Reason)
		}
	}
}

// The decisions that tell of a run.
var (
	triggered = fmt.Sprint(v1alpha1.OutcomeTriggered, " ", v1alpha1.ReasonTriggered)
	onHold    = fmt.Sprint(v1alpha1.OutcomeWaiting, " ", v1alpha1.ReasonManualStage)
)

func runKey(buildUID, pipelineUID string) string { return buildUID + "/" + pipelineUID }

func (m *model) start(run, buildUID, pipeline, pipelineUID string, stage trigger.Stage) {
	name := workflowName(buildUID, pipeline, pipelineUID, stage)
	if _, exists := m.rows[name]; !exists {
		m.rows[name] = modelRow{run: run, stage: stage, status: store.StatusPending}
	}
}

// claim gives up to most rows to a worker; all that it may when nobody else holds any.
func (m *model) claim(worker string, most int, claims []store.Claim, alone bool) error {
	if want := min(most, len(m.claimable())); len(claims) > want || alone && len(claims) < want {
		return fmt.Errorf("claimed %d, want %d", len(claims), want)
	}
	for _, claim := range claims {
		row := m.rows[claim.WorkflowName]
		if row.status != store.StatusPending || row.delayed || claim.Attempt != row.attempt+1 {
			return fmt.Errorf("claimed %s, attempt %d, which is %+v", claim.WorkflowName, claim.Attempt, row)
		}
		m.change(claim.WorkflowName, func(row *modelRow) {
			row.status, row.attempt, row.claimedBy = store.StatusSubmitting, claim.Attempt, worker
			row.leased, row.expired = true, false
		})
	}
	return nil
}

// complete moves what is still the worker's, and only to where a worker may.
func (m *model) complete(worker string, completions []completion, moved []store.Moved) error {
	may := []store.Status{store.StatusSubmitted, store.StatusPending, store.StatusError, store.StatusCancelled}
	var want []int64
	for _, c := range completions {
		row := m.rows[c.name]
		if row.status != store.StatusSubmitting || row.claimedBy != worker || row.attempt != c.Attempt || !slices.Contains(may, c.Status) {
			continue
		}
		want = append(want, c.ID)
		m.change(c.name, func(row *modelRow) {
			row.status, row.leased, row.expired, row.delayed = c.Status, false, false, c.Delay > 0
			row.submitted = row.submitted || c.Status == store.StatusSubmitted
			row.finished = row.finished || progress(c.Status) == progress(store.StatusError)
			if c.Status == store.StatusPending {
				row.claimedBy = ""
			}
		})
	}
	return sameRows(want, moved)
}

// runOut lets a lease run out.
func (m *model) runOut(name string) {
	m.change(name, func(row *modelRow) { row.expired = row.leased })
}

// reclaim gives back what has run out.
func (m *model) reclaim() {
	for name, row := range m.rows {
		if row.status == store.StatusSubmitting && row.expired {
			m.change(name, func(row *modelRow) {
				row.status, row.claimedBy, row.leased, row.expired = store.StatusPending, "", false, false
			})
		}
	}
}

// observe moves rows forward to where their own Workflows were seen.
func (m *model) observe(observations []store.Observation, moved []store.Moved) error {
	var want []int64
	for _, seen := range observations {
		row, exists := m.rows[seen.WorkflowName]
		to := observed(row.status, seen.Status)
		if seen.Gone {
			to = lost(row.status)
		}
		own := exists && seen.Namespace == given.Namespace && strings.HasSuffix(row.run, "/"+seen.Owner)
		if !own || to == row.status {
			continue
		}
		want = append(want, seen.ID)
		m.change(seen.WorkflowName, func(row *modelRow) {
			row.submitted = true
			row.started = row.started || !seen.Gone && to != store.StatusSubmitted
			row.status, row.finished = to, progress(to) == progress(store.StatusError)
			row.leased, row.expired = false, false
		})
	}
	return sameRows(want, moved)
}

// unfollowed are the ended stages whose consequence is not committed.
func (m *model) unfollowed() (names []string) {
	for name, row := range m.rows {
		if slices.Contains(ends, row.status) && !row.followed {
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
		row := m.rows[nameOf(consequence.Ended)]
		stale = stale || row.followed || !slices.Contains(ends, row.status)
	}
	if stale != errors.Is(err, store.ErrStale) || !stale && err != nil {
		return fmt.Errorf("followed with %w, want stale: %t", err, stale)
	}
	if stale {
		return nil
	}
	for _, consequence := range consequences {
		m.conclude(consequence)
	}
	return nil
}

func (m *model) conclude(consequence store.Consequence) {
	ended := consequence.Ended
	m.change(nameOf(ended), func(row *modelRow) { row.followed = true })
	key := runKey(ended.Build.UID, ended.PipelineUID)
	switch {
	case consequence.Next != "":
		m.start(key, ended.Build.UID, ended.Pipeline, ended.PipelineUID, consequence.Next)
	case consequence.Hold != "" && m.decisions[key] == triggered:
		m.decisions[key] = onHold
	case consequence.Outcome != "" && m.runs[key].outcome == "":
		m.runs[key] = modelRun{ended.Pipeline, string(consequence.Outcome)}
	}
	m.decide(ended.Build, consequence.Decisions)
}
