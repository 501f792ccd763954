package queue

import (
	"context"
	"fmt"

	"github.com/penstock-cd/penstock/pkg/store"
)

// chunk is how many rows one statement inserts, so that it ends soon when it must.
const chunk = 50_000

// build is what all rows hang below.
const build = `
WITH build AS (
	INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase)
	VALUES ('b1', 'bench', 'b1', 'ci', 'main', 'API', 'Succeeded') ON CONFLICT DO NOTHING
	RETURNING *
), turn AS (
	INSERT INTO turn (pipeline_uid, build_uid, built_at, build_seq, state)
	SELECT 'any', build_uid, created_at, seq, 'Active' FROM build
)
INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
SELECT build_uid, namespace, build_name, ci_pipeline, 'image', 'digest' FROM build`

// pending inserts so many runs, each with a stage whose task is Pending. Their places in
// the queue are a second apart, as those of one build are, and they have seven
// priorities.
const pending = `
WITH run AS (
	INSERT INTO cd_workflow (ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, cause)
	SELECT a.id, a.build_uid, t.id, a.namespace, 'web-' || n, gen_random_uuid(), 'API'
	FROM ci_artifact a JOIN turn t ON t.build_uid = a.build_uid, generate_series(1, $1::integer) n
	RETURNING id, namespace, pipeline, pipeline_uid
), queued AS (
	INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, priority, fair_at)
	SELECT 'cd', namespace, 'CdPipeline', pipeline, pipeline_uid, 'identity-' || id, 'workflow-' || id,
		jsonb_build_object('build', 'b1', 'image', 'image', 'digest', 'digest', 'stage', 'DEPLOY', 'run', id),
		'Pending', id % 7, now() + id * interval '1 s' FROM run
	RETURNING id, namespace, inputs
)
INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
SELECT (inputs->>'run')::bigint, namespace, 'DEPLOY', id FROM queued`

// fill inserts rows until n are Pending, and has the planner know it.
func fill(ctx context.Context, rows *store.Store, n int) error {
	have, _, err := rows.QueueDepth(ctx)
	if err != nil {
		return err
	}
	if _, err := rows.Pool().Exec(ctx, build); err != nil {
		return fmt.Errorf("insert build: %w", err)
	}
	for missing := n - int(have); missing > 0; missing -= chunk {
		if _, err := rows.Pool().Exec(ctx, pending, min(missing, chunk)); err != nil {
			return fmt.Errorf("insert rows: %w", err)
		}
	}
	if _, err := rows.Pool().Exec(ctx, "ANALYZE"); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}
	return nil
}

// end takes claimed tasks to their end, as their submission and their Workflows do.
func end(ctx context.Context, rows *store.Store, claimed []store.Claim) error {
	completions := make([]store.Completion, len(claimed))
	observations := make([]store.Observation, len(claimed))
	for i, claim := range claimed {
		uid := fmt.Sprint(claim.ID)
		completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusSubmitted, WorkflowUID: uid}
		observations[i] = store.Observation{
			Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, WorkflowUID: uid, Identity: claim.Identity, Status: store.StatusSucceeded,
		}
	}
	if _, err := rows.Complete(ctx, worker, completions); err != nil {
		return err
	}
	_, err := rows.Observe(ctx, observations)
	return err
}
