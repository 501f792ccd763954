package oracle

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// turnRules are about where each turn stands once nothing is under way: a turn that is
// wrong here keeps its pipeline from everybody else, or lets two in.
var turnRules = []struct{ promise, query string }{
	{"I8: a turn is not where its runs are", `
		WITH facts AS (
			SELECT n.id, n.state, p.pipeline, b.build_name,
				bool_or(w.outcome IS NULL AND NOT w.overtaken) AS is_open,
				bool_or(w.outcome IS NULL AND NOT w.overtaken AND t.status IN ` + activeStates + `) AS active,
				bool_or(w.outcome IS NULL AND NOT w.overtaken AND t.status = 'Held' AND t.reason = 'Turn') AS wants
			FROM turn n
			JOIN cd_pipeline p ON p.pipeline_uid = n.pipeline_uid
			JOIN ci_build b ON b.build_uid = n.build_uid
			LEFT JOIN cd_workflow w ON w.turn_id = n.id
			LEFT JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
			LEFT JOIN task t ON t.id = r.task_id
			GROUP BY n.id, n.state, p.pipeline, b.build_name
		), wanted AS (
			SELECT *, CASE WHEN is_open IS NOT TRUE THEN ARRAY['Ended', 'Superseded'] WHEN active THEN ARRAY['Active']
				WHEN wants THEN ARRAY['Waiting'] ELSE ARRAY['Yielded'] END AS states FROM facts
		)
		SELECT format('%s %s is %s, and its runs are %s', pipeline, build_name, state, array_to_string(states, ' or '))
		FROM wanted WHERE state <> ALL(states)`},
	{"I1: a build waits for its turn, and nobody has it", `
		SELECT p.pipeline || ' ' || b.build_name FROM turn n
		JOIN cd_pipeline p ON p.pipeline_uid = n.pipeline_uid
		JOIN ci_build b ON b.build_uid = n.build_uid
		WHERE n.state = 'Waiting' AND NOT EXISTS (
			SELECT FROM turn a WHERE a.pipeline_uid = n.pipeline_uid AND a.state = 'Active')`},
}

// movement is one change of a turn, or of a task of it.
type movement struct {
	PipelineUID string
	Pipeline    string
	Turn        int64
	Build       string
	BuiltAt     time.Time
	BuildSeq    int64
	Asked       bool
	// Task is 0 for the turn itself.
	Task     int64
	After    string
	Reopened int
}

// movements are in the order in which they happened in each pipeline. A build that was
// created before all others has no time.
const movements = `
WITH happened AS (
	SELECT id, turn, 0 AS task, after, 0 AS reopened FROM oracle_turn
	UNION ALL
	SELECT o.id, w.turn_id, o.task, o.after, o.reopened FROM oracle_transition o
	JOIN task t ON t.id = o.task AND t.kind = 'cd'
	JOIN cd_workflow w ON w.id = (t.inputs->>'run')::bigint
)
SELECT n.pipeline_uid, p.pipeline, n.id AS turn, b.build_name AS build,
	GREATEST(n.built_at, to_timestamp(0)) AS built_at, n.build_seq, n.asked, h.task, h.after, h.reopened
FROM happened h
JOIN turn n ON n.id = h.turn
JOIN cd_pipeline p ON p.pipeline_uid = n.pipeline_uid
JOIN ci_build b ON b.build_uid = n.build_uid
ORDER BY h.id`

// order judges I8: what is wrong with the turns now, and in what order they were taken in
// each pipeline that does not say Allow.
func order(ctx context.Context, world World) ([]string, error) {
	var found []string
	for _, rule := range turnRules {
		names, err := texts(ctx, world, rule.query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.promise, err)
		}
		for _, name := range names {
			found = append(found, rule.promise+": "+name)
		}
	}
	pipelines, err := ordered(ctx, world)
	if err != nil {
		return nil, err
	}
	rows, err := world.Database.Query(ctx, movements)
	if err != nil {
		return nil, fmt.Errorf("read turns: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[movement])
	if err != nil {
		return nil, fmt.Errorf("read turns: %w", err)
	}
	for _, one := range list {
		if pipeline := pipelines[one.PipelineUID]; pipeline != nil {
			found = append(found, pipeline.move(one)...)
		}
	}
	return found, nil
}

// ordered are the pipelines that exist and whose builds go one after the other, by UID.
func ordered(ctx context.Context, world World) (map[string]*replay, error) {
	pipelines := map[string]*replay{}
	for _, cluster := range world.Clusters {
		objects, err := readObjects(ctx, cluster)
		if err != nil {
			return nil, err
		}
		for i := range objects.pipelines {
			if objects.pipelines[i].Spec.ConcurrencyPolicy != v1alpha1.ConcurrencyAllow {
				pipelines[string(objects.pipelines[i].UID)] = &replay{working: map[int64]map[int64]bool{}}
			}
		}
	}
	return pipelines, nil
}

// replay follows the turns of one pipeline.
type replay struct {
	active movement // the turn that is Active; its id is 0 where none is
	newest movement // the newest build that was active and that nobody had asked for
	// working are the tasks under way, by turn.
	working map[int64]map[int64]bool
}

// move returns what is wrong with a movement.
func (r *replay) move(m movement) []string {
	if m.Task != 0 {
		return r.work(m)
	}
	if m.After != "Active" {
		if r.active.Turn == m.Turn {
			r.active = movement{}
		}
		return nil
	}
	var found []string
	if r.active.Turn != 0 {
		found = append(found, fmt.Sprintf("I8: builds %s and %s had their turn in CdPipeline %s at once", r.active.Build, m.Build, m.Pipeline))
	}
	r.active = m
	if m.Asked {
		return found
	}
	if r.newest.Turn != 0 && r.newest.compare(m) > 0 {
		return append(found, fmt.Sprintf("I8: build %s had its turn in CdPipeline %s after the newer build %s", m.Build, m.Pipeline, r.newest.Build))
	}
	r.newest = m
	return found
}

// work returns what is wrong with a task that begins.
func (r *replay) work(m movement) []string {
	tasks := r.working[m.Turn]
	if !isUnderWay(m.After) {
		delete(tasks, m.Task)
		return nil
	}
	withoutTurn := m.Reopened > 0 && r.active.Turn != m.Turn // somebody has retried it in Argo
	if tasks[m.Task] || withoutTurn {
		return nil
	}
	if tasks == nil {
		tasks = map[int64]bool{}
		r.working[m.Turn] = tasks
	}
	tasks[m.Task] = true
	for turn, others := range r.working {
		if turn != m.Turn && len(others) > 0 {
			return []string{fmt.Sprintf("I8: a task of build %s began in CdPipeline %s while one of another build was under way", m.Build, m.Pipeline)}
		}
	}
	return nil
}

func isUnderWay(status string) bool {
	return status == "Pending" || status == "Submitting" || status == "Submitted" || status == "Running"
}

// compare orders builds by their creation, then by when they were first seen.
func (m movement) compare(other movement) int {
	return cmp.Or(m.BuiltAt.Compare(other.BuiltAt), cmp.Compare(m.BuildSeq, other.BuildSeq))
}
