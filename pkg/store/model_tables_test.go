package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// tables are the lines of the model as tablesOf reads them from the database.
func (m *model) tables() []string {
	lines := []string{}
	for build := range m.builds {
		lines = append(lines, "build "+build)
	}
	for key, run := range m.runs {
		lines = append(lines, fmt.Sprintf("run %s %s [%s]", key, run.pipeline, run.outcome))
	}
	for key, state := range m.turns {
		lines = append(lines, fmt.Sprintf("turn %s %s", key, state))
	}
	for key, stage := range m.stages {
		lines = append(lines, fmt.Sprintf("stage %s %d %s", key, stage.attempt, stage.task))
	}
	for name, task := range m.tasks {
		lines = append(lines, fmt.Sprintf("task %s %s %s %s [%s] %d %d [%s] [%s] %t %t %t %t %t %t %t %d", task.run, name, task.identity, task.status, task.reason,
			task.claims, task.failures, task.uid, task.claimedBy, task.leased, task.expired, task.delayed, task.submitted, task.started, task.finished, task.settled, task.reopened))
	}
	for key, decision := range m.decisions {
		lines = append(lines, fmt.Sprintf("decision %s %s %s %s [%s]", key, decision.outcome, decision.reason, decision.message, decision.waitsFor))
	}
	for event, times := range m.events {
		lines = append(lines, fmt.Sprintf("event %s x%d", event, times))
	}
	slices.Sort(lines)
	return lines
}

const allTables = `
SELECT 'build ' || build_uid FROM ci_build WHERE planned_at IS NOT NULL
UNION ALL
SELECT 'run ' || build_uid || '/' || pipeline_uid || ' ' || pipeline || ' [' || COALESCE(outcome, '') || ']' FROM cd_workflow
UNION ALL
SELECT 'turn ' || build_uid || '/' || pipeline_uid || ' ' || state FROM turn
UNION ALL
SELECT concat_ws(' ', 'stage', w.build_uid || '/' || w.pipeline_uid, r.stage, r.attempt, t.workflow_name)
FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id JOIN task t ON t.id = r.task_id
UNION ALL
SELECT concat_ws(' ', 'task', w.build_uid || '/' || w.pipeline_uid, t.workflow_name, t.identity, t.status, '[' || t.reason || ']',
                 t.attempt, t.failures, '[' || t.workflow_uid || ']', '[' || t.claimed_by || ']',
                 (t.lease_until IS NOT NULL)::text, (COALESCE(t.lease_until < now(), false))::text, (t.available_at > now() + interval '1 min')::text,
                 (t.submitted_at IS NOT NULL)::text, (t.started_at IS NOT NULL)::text, (t.finished_at IS NOT NULL)::text, (t.settled_at IS NOT NULL)::text, t.reopened)
FROM task t JOIN cd_workflow w ON w.id = (t.inputs->>'run')::bigint
UNION ALL
SELECT 'decision ' || build_uid || '/' || pipeline_uid || ' ' || outcome || ' ' || reason || ' ' || message || ' [' || waits_for || ']' FROM trigger_decision
UNION ALL
SELECT concat_ws(' ', 'event', e.kind, COALESCE(t.workflow_name, b.build_uid || '/' || e.pipeline_uid), e.state, '[' || e.reason || ']', 'x' || count(*))
FROM event e JOIN ci_build b ON b.build_name = e.build_name LEFT JOIN task t ON t.id = e.task_id
GROUP BY e.kind, t.workflow_name, b.build_uid, e.pipeline_uid, e.state, e.reason`

// difference, of sorted lines, is the lines that only the model has, and those that only the tables have.
func difference(m *model, got []string) (lines []string) {
	want := m.tables()
	for _, line := range want {
		if _, found := slices.BinarySearch(got, line); !found {
			lines = append(lines, "want "+line)
		}
	}
	for _, line := range got {
		if _, found := slices.BinarySearch(want, line); !found {
			lines = append(lines, "have "+line)
		}
	}
	return lines
}

func tablesOf(t testing.TB, s *store.Store) []string {
	t.Helper()
	lines := table(t, s, allTables)
	slices.Sort(lines)
	return lines
}

// identityOf is that of a stage of the first run of a build's only artifact.
func identityOf(buildUID, pipelineUID string, stage trigger.Stage, attempt int32) trigger.Identity {
	artifact := given.Artifact(0)
	return trigger.Identity{
		BuildUID: buildUID, Image: artifact.Image, Digest: artifact.Digest, PipelineUID: pipelineUID, Run: 1, Stage: stage, Attempt: attempt,
	}
}

// sameRows compares the tasks that were to move with those that did.
func sameRows(want []int64, moved []store.Moved) error {
	got := make([]int64, len(moved))
	for i, row := range moved {
		got[i] = row.ID
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("moved tasks %v, want %v", got, want)
	}
	return nil
}
