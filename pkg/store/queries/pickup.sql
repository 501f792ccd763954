-- Workflows that no Argo controller takes up.

-- name: SubmittedTasks :many
-- Tasks whose Workflow exists for a while and has not begun, as far as is known, and those
-- of which that is known already.
SELECT id, namespace, workflow_name, workflow_uid, (reason = 'NotTakenUp')::boolean AS not_taken_up
FROM task
WHERE status = 'Submitted' AND cluster = @cluster::text AND (reason = 'NotTakenUp' OR submitted_at < now() - @since::interval) AND id > @after
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
ORDER BY id
LIMIT @most;

-- name: MarkPickup :many
-- Notes that nobody has taken a Workflow up, or that somebody has after all. When the task
-- was submitted stays as it is.
WITH marked AS (
    SELECT unnest(@ids::bigint[]) AS id, unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message
), locked AS (
    SELECT t.id, marked.reason, marked.message FROM task t JOIN marked ON marked.id = t.id
    WHERE t.status = 'Submitted' AND t.reason <> marked.reason
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t SET reason = l.reason, message = l.message
    FROM locked l
    WHERE t.id = l.id AND t.status = 'Submitted' AND t.reason <> l.reason
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
           COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM moved m
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name
FROM moved m;
