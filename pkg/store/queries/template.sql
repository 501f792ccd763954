-- Tasks that wait for their template.

-- name: EndTemplateWaits :many
-- Ends tasks of a stage whose template has not appeared in time, by the database's clock.
WITH locked AS (
    SELECT id FROM task
    WHERE owner_uid = @owner_uid::text AND status = 'Held' AND reason = 'Template' AND inputs->>'stage' = @stage::text
      AND changed_at < now() - @wait::interval
    ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE task t
    SET status = 'Error', reason = 'TemplateNotFound', message = @message::text, finished_at = now(), changed_at = now()
    FROM locked
    WHERE t.id = locked.id AND t.status = 'Held' AND t.reason = 'Template'
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
