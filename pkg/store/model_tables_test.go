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
	for name, row := range m.rows {
		lines = append(lines, fmt.Sprintf("row %s %s %s %s %d [%s] %t %t %t %t %t %t %t", row.run, name, row.stage, row.status, row.attempt,
			row.claimedBy, row.leased, row.expired, row.delayed, row.submitted, row.started, row.finished, row.followed))
	}
	for key, decision := range m.decisions {
		lines = append(lines, "decision "+key+" "+decision)
	}
	slices.Sort(lines)
	return lines
}

const allTables = `
SELECT 'build ' || build_uid FROM ci_build
UNION ALL
SELECT 'run ' || a.build_uid || '/' || w.pipeline_uid || ' ' || w.pipeline || ' [' || COALESCE(w.outcome, '') || ']'
FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
UNION ALL
SELECT concat_ws(' ', 'row', a.build_uid || '/' || w.pipeline_uid, r.workflow_name, r.stage, r.status, r.attempt, '[' || r.claimed_by || ']',
                 (r.lease_until IS NOT NULL)::text, (COALESCE(r.lease_until < now(), false))::text, (r.available_at > now() + interval '1 min')::text,
                 (r.submitted_at IS NOT NULL)::text, (r.started_at IS NOT NULL)::text, (r.finished_at IS NOT NULL)::text, (r.followed_at IS NOT NULL)::text)
FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id JOIN ci_artifact a ON a.id = w.ci_artifact_id
UNION ALL
SELECT 'decision ' || build_uid || '/' || pipeline_uid || ' ' || outcome || ' ' || reason FROM trigger_decision`

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

// nameOf is the name of the Workflow of a stage that has ended.
func nameOf(ended store.Ended) string {
	return workflowName(ended.Build.UID, ended.Pipeline, ended.PipelineUID, ended.Stage)
}

func workflowName(buildUID, pipeline, pipelineUID string, stage trigger.Stage) string {
	artifact := given.Artifact(0)
	return trigger.WorkflowName(pipeline, trigger.Identity{
		BuildUID: buildUID, Image: artifact.Image, Digest: artifact.Digest, PipelineUID: pipelineUID, Run: 1, Stage: stage,
	})
}

// sameRows compares the rows that were to move with those that did.
func sameRows(want []int64, moved []store.Moved) error {
	got := make([]int64, len(moved))
	for i, row := range moved {
		got[i] = row.ID
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("moved rows %v, want %v", got, want)
	}
	return nil
}
