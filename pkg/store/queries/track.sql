-- Every batch locks its rows in the order of their ids, so that two batches that
-- overlap wait for each other instead of dying of a deadlock.

-- name: ObserveWorkflows :many
-- Moves rows to where their Workflows are; never backwards, and never out of an
-- end state. A Workflow is a row's by its namespace, its name and the pipeline that
-- owns it: whoever copies our labels moves nothing. A Workflow may be seen before the worker that made it has said so.
WITH locked AS (
    SELECT id FROM cd_workflow_runner WHERE id = ANY(@ids::bigint[]) ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE cd_workflow_runner r
    SET status = o.status, reason = o.reason,
        message = CASE WHEN o.message <> '' OR o.status <> r.status THEN o.message ELSE r.message END,
        submitted_at = COALESCE(r.submitted_at, now()),
        started_at = CASE WHEN o.status = 'Submitted' THEN r.started_at ELSE COALESCE(r.started_at, now()) END,
        finished_at = CASE WHEN o.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled') THEN now() END,
        lease_until = NULL, changed_at = now()
    FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@namespaces::text[]) AS namespace,
                 unnest(@workflow_names::text[]) AS workflow_name, unnest(@owners::text[]) AS owner,
                 unnest(@statuses::text[]) AS status, unnest(@reasons::text[]) AS reason,
                 unnest(@messages::text[]) AS message) o
    JOIN locked ON locked.id = o.id, cd_workflow w
    WHERE r.id = o.id AND r.namespace = o.namespace AND r.workflow_name = o.workflow_name
      AND w.id = r.cd_workflow_id AND w.pipeline_uid = o.owner
      AND (   (r.status IN ('Pending', 'Submitting') AND o.status IN ('Submitted', 'Running', 'Succeeded', 'Failed', 'Error', 'Cancelled'))
           OR (r.status = 'Submitted' AND o.status IN ('Running', 'Succeeded', 'Failed', 'Error', 'Cancelled'))
           OR (r.status = 'Running' AND o.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled')))
    RETURNING r.id, r.cd_workflow_id, r.status
)
SELECT m.id, m.status, w.namespace, w.pipeline, w.pipeline_uid, a.build_uid, a.build_name
FROM moved m
JOIN cd_workflow w ON w.id = m.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id;

-- name: LostWorkflows :many
-- Ends rows whose Workflow is gone. A row that still waits for its Workflow is
-- not among them: it has lost nothing.
WITH locked AS (
    SELECT id FROM cd_workflow_runner WHERE id = ANY(@ids::bigint[]) ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE cd_workflow_runner r
    SET status = 'Error', reason = o.reason, message = o.message, finished_at = now(), changed_at = now()
    FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@namespaces::text[]) AS namespace,
                 unnest(@workflow_names::text[]) AS workflow_name, unnest(@owners::text[]) AS owner,
                 unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message) o
    JOIN locked ON locked.id = o.id, cd_workflow w
    WHERE r.id = o.id AND r.namespace = o.namespace AND r.workflow_name = o.workflow_name
      AND w.id = r.cd_workflow_id AND w.pipeline_uid = o.owner AND r.status IN ('Submitted', 'Running')
    RETURNING r.id, r.cd_workflow_id, r.status
)
SELECT m.id, m.status, w.namespace, w.pipeline, w.pipeline_uid, a.build_uid, a.build_name
FROM moved m
JOIN cd_workflow w ON w.id = m.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id;

-- name: StaleActive :many
-- Rows whose Workflow should exist and has not been heard of for a while.
SELECT r.id, r.workflow_name, w.namespace, w.pipeline_uid
FROM cd_workflow_runner r
JOIN cd_workflow w ON w.id = r.cd_workflow_id
WHERE r.status IN ('Submitted', 'Running') AND r.changed_at < now() - @quiet::interval AND r.id > @after
  AND (cardinality(@namespaces::text[]) = 0 OR r.namespace = ANY(@namespaces::text[]))
ORDER BY r.id
LIMIT @most;
