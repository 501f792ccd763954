package scale

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
)

// eventsPerRun is how many event rows a run of one stage leaves.
const eventsPerRun = 5

// oldBuilds are builds that ended a month ago and whose objects are gone: $1 of each
// CiPipeline of the pipelines.
const oldBuilds = `
WITH build AS (
	INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase, created_at, planned_at, deleted_at)
	SELECT 'old-' || ci || '-' || n, $2, 'old-' || ci || '-' || n, ci, 'main', 'API', 'Succeeded',
		now() - interval '30 days' + n * interval '1 hour', now() - interval '29 days', now() - interval '2 days'
	FROM (SELECT DISTINCT unnest($3::text[]) AS ci) AS cis, generate_series(1, $1::integer) n
	RETURNING *
)
INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
SELECT build_uid, namespace, build_name, ci_pipeline, 'registry.example.com/' || ci_pipeline || ':' || build_name, 'sha256:' || repeat('ab', 32) FROM build`

// oldRuns are a run of each of these builds in each pipeline of its CiPipeline, with all
// that it leaves but the events.
const oldRuns = `
WITH pipeline AS (
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS p(uid, name, ci)
), turn AS (
	INSERT INTO turn (pipeline_uid, build_uid, built_at, build_seq, state, created_at, taken_at, ended_at)
	SELECT p.uid, b.build_uid, b.created_at, b.seq, 'Ended', b.planned_at, b.planned_at, b.planned_at
	FROM pipeline p JOIN ci_build b ON b.ci_pipeline = p.ci AND b.build_uid LIKE 'old-%'
	RETURNING *
), run AS (
	INSERT INTO cd_workflow (ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, cause, outcome, created_at, finished_at)
	SELECT a.id, a.build_uid, t.id, a.namespace, p.name, p.uid, 'API', 'Succeeded', t.created_at, t.ended_at
	FROM turn t JOIN pipeline p ON p.uid = t.pipeline_uid JOIN ci_artifact a ON a.build_uid = t.build_uid
	RETURNING *
), decision AS (
	INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message, decided_at)
	SELECT a.build_uid, a.image, a.digest, a.namespace, a.build_name, r.pipeline, r.pipeline_uid, 'Triggered', 'Triggered', 'by build ' || a.build_name, r.created_at
	FROM run r JOIN ci_artifact a ON a.id = r.ci_artifact_id
), ended AS (
	INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, workflow_uid, inputs, status, priority, fair_at,
		attempt, created_at, queued_at, submitted_at, started_at, finished_at, settled_at, changed_at)
	SELECT 'cd', r.namespace, 'CdPipeline', r.pipeline, r.pipeline_uid, 'old-identity-' || r.id, 'old-workflow-' || r.id, gen_random_uuid(),
		jsonb_build_object('build', a.build_name, 'revision', 'main', 'image', a.image, 'digest', a.digest, 'stage', 'DEPLOY', 'run', r.id),
		'Succeeded', 0, r.created_at, 1, r.created_at, r.created_at, r.created_at, r.created_at, r.created_at, r.created_at, r.created_at
	FROM run r JOIN ci_artifact a ON a.id = r.ci_artifact_id
	RETURNING id, namespace, inputs
)
INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
SELECT (inputs->>'run')::bigint, namespace, 'DEPLOY', id FROM ended`

// oldEvents are what these runs left in the history.
const oldEvents = `
INSERT INTO event (at, kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state)
SELECT t.changed_at, 'Task', t.namespace, t.inputs->>'build', t.owner_name, t.owner_uid, (t.inputs->>'run')::bigint, t.id, 'DEPLOY',
	(ARRAY['Pending', 'Submitted', 'Running', 'Succeeded', 'Succeeded'])[n]
FROM task t, generate_series(1, $1::integer) n WHERE t.identity LIKE 'old-%'`

// history inserts what a product that has run for long has in its tables, and returns how
// many rows that are. It is a number of past runs of each pipeline of a group.
func (p *past) history(ctx context.Context) (int64, error) {
	if err := store.Migrate(ctx, store.Config{URL: p.cluster.DatabaseURL, Schema: fixture.Schema, MaxConns: 1}); err != nil {
		return 0, err
	}
	var pipelines v1alpha1.CdPipelineList
	if err := p.cluster.Client.List(ctx, &pipelines, client.InNamespace(namespace)); err != nil {
		return 0, fmt.Errorf("list pipelines: %w", err)
	}
	var uids, names, cis []string
	for i := range pipelines.Items {
		pipeline := &pipelines.Items[i]
		if ci := pipeline.Name[:len(pipeline.Name)-len("-000")]; ci != burstCI {
			uids, names, cis = append(uids, string(pipeline.UID)), append(names, pipeline.Name), append(cis, ci)
		}
	}
	return p.insert(ctx, uids, names, cis)
}

func (p *past) insert(ctx context.Context, uids, names, cis []string) (int64, error) {
	connection, err := pgx.Connect(ctx, p.cluster.DatabaseURL)
	if err != nil {
		return 0, fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = connection.Close(ctx) }()
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{"SET search_path TO " + fixture.Schema, nil},
		{oldBuilds, []any{p.runs, namespace, cis}},
		{oldRuns, []any{uids, names, cis}},
		{oldEvents, []any{eventsPerRun}},
		{"ANALYZE", nil},
	} {
		if _, err := connection.Exec(ctx, statement.sql, statement.args...); err != nil {
			return 0, fmt.Errorf("insert history: %w", err)
		}
	}
	var rows int64
	err = connection.QueryRow(ctx, `SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM task) + (SELECT count(*) FROM cd_workflow)
		+ (SELECT count(*) FROM cd_workflow_runner) + (SELECT count(*) FROM trigger_decision) + (SELECT count(*) FROM turn)`).Scan(&rows)
	return rows, err //nolint:wrapcheck // the caller says what it counts
}
