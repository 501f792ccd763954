-- Workflows of ours that the tables know nothing of, since the database was restored.

-- name: UnknownWorkflows :many
-- Those of the Workflows whose name no task has.
SELECT w.namespace::text AS namespace, w.workflow_name::text AS workflow_name
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@workflow_names::text[]) AS workflow_name) w
WHERE NOT EXISTS (
    SELECT FROM task t WHERE t.namespace = w.namespace AND t.workflow_name = w.workflow_name AND t.cluster = @cluster::text);

-- name: EnsureBuild :exec
-- A build that the tables do not know is noted as not planned: its plan is lost.
INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, ref, cause, phase, created_at)
VALUES (@build_uid, @namespace, @build_name, @ci_pipeline, @revision, @ref, @cause, @phase, @created_at)
ON CONFLICT (build_uid) DO NOTHING;

-- name: SetOvertaken :exec
UPDATE cd_workflow SET overtaken = true WHERE id = @id;

-- name: SetStageAttempt :exec
UPDATE cd_workflow_runner SET attempt = @attempt WHERE cd_workflow_id = @run_id AND stage = @stage;
