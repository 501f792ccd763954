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
)
INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
SELECT build_uid, namespace, build_name, ci_pipeline, 'image', 'digest' FROM build`

// pending inserts so many runs, each with a Pending stage. Their places in the queue
// are a second apart, as those of one build are, and they have seven priorities.
const pending = `
WITH run AS (
	INSERT INTO cd_workflow (ci_artifact_id, namespace, pipeline, pipeline_uid, cause)
	SELECT a.id, a.namespace, 'web-' || n, gen_random_uuid(), 'API' FROM ci_artifact a, generate_series(1, $1::integer) n
	RETURNING id, namespace, pipeline
)
INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, workflow_name, priority, fair_at)
SELECT id, namespace, 'DEPLOY', pipeline, id % 7, now() + id * interval '1 s' FROM run`

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

// end takes claimed rows to their end, as their submission and their Workflows do.
func end(ctx context.Context, rows *store.Store, claimed []store.Claim) error {
	completions := make([]store.Completion, len(claimed))
	observations := make([]store.Observation, len(claimed))
	for i, claim := range claimed {
		completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusSubmitted}
		observations[i] = store.Observation{ID: claim.ID, Namespace: claim.Namespace, Owner: claim.PipelineUID, WorkflowName: claim.WorkflowName, Status: store.StatusSucceeded}
	}
	if _, err := rows.Complete(ctx, worker, completions); err != nil {
		return err
	}
	_, err := rows.Observe(ctx, observations)
	return err
}
