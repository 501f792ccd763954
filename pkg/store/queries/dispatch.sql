-- name: ClaimRunners :many
-- Takes the head of the queue for one worker, for the length of a lease by the
-- database's clock. Rows that another worker holds locked are passed over. What the
-- head holds is locked as Pending: the update says so no second time, and takes the
-- ids as an array, so that it goes by the primary key whatever Postgres believes of
-- the limit or of the queue's length.
WITH head AS (
    SELECT id FROM cd_workflow_runner
    WHERE status = 'Pending' AND available_at <= now()
      AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
    ORDER BY priority DESC, fair_at, id
    LIMIT @most
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE cd_workflow_runner r
    SET status = 'Submitting', attempt = attempt + 1, claimed_by = @worker::text,
        lease_until = now() + @lease::interval, changed_at = now()
    WHERE r.id = ANY(ARRAY(SELECT head.id FROM head))
    RETURNING r.id, r.cd_workflow_id, r.stage, r.workflow_name, r.attempt, r.priority, r.fair_at, r.created_at
)
SELECT c.id, c.stage, c.workflow_name, c.attempt,
       EXTRACT(EPOCH FROM now() - c.created_at)::float8 AS waited_seconds,
       w.namespace, w.pipeline, w.pipeline_uid, w.run,
       a.image, a.digest, b.build_uid, b.build_name, b.revision
FROM claimed c
JOIN cd_workflow w ON w.id = c.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN ci_build b ON b.build_uid = a.build_uid
ORDER BY c.priority DESC, c.fair_at, c.id;

-- name: CompleteRunners :many
-- Records what became of claimed rows. A row counts only while it is still this
-- worker's: the same worker, the same attempt, not yet taken further. One that is
-- to be tried again later goes behind those that come meanwhile, or rows that fail
-- for ever would keep all others waiting.
WITH locked AS (
    SELECT id FROM cd_workflow_runner WHERE id = ANY(@ids::bigint[]) ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE cd_workflow_runner r
    SET status = c.status, reason = c.reason, message = c.message,
        submitted_at = CASE WHEN c.status = 'Submitted' THEN now() ELSE r.submitted_at END,
        finished_at = CASE WHEN c.status IN ('Error', 'Cancelled') THEN now() ELSE r.finished_at END,
        available_at = CASE WHEN c.delay > interval '0' THEN now() + c.delay ELSE r.available_at END,
        fair_at = CASE WHEN c.delay > interval '0' THEN GREATEST(r.fair_at, now() + c.delay) ELSE r.fair_at END,
        claimed_by = CASE WHEN c.status = 'Pending' THEN '' ELSE r.claimed_by END,
        lease_until = NULL, changed_at = now()
    FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@attempts::integer[]) AS attempt,
                 unnest(@statuses::text[]) AS status, unnest(@reasons::text[]) AS reason,
                 unnest(@messages::text[]) AS message, unnest(@delays::interval[]) AS delay) c
    JOIN locked ON locked.id = c.id
    WHERE r.id = c.id AND r.status = 'Submitting' AND r.claimed_by = @worker::text AND r.attempt = c.attempt
      AND c.status IN ('Submitted', 'Pending', 'Error', 'Cancelled')
    RETURNING r.id, r.cd_workflow_id, r.status
)
SELECT m.id, m.status, w.namespace, w.pipeline, w.pipeline_uid, a.build_uid, a.build_name
FROM moved m
JOIN cd_workflow w ON w.id = m.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id;


-- name: ReclaimExpired :execrows
-- Gives rows back whose worker let the lease run out.
WITH expired AS (
    SELECT id FROM cd_workflow_runner
    WHERE status = 'Submitting' AND lease_until < now()
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE cd_workflow_runner r
SET status = 'Pending', claimed_by = '', lease_until = NULL, changed_at = now()
FROM expired
WHERE r.id = expired.id AND r.status = 'Submitting';

-- name: QueueDepth :one
SELECT count(*) AS pending,
       COALESCE(EXTRACT(EPOCH FROM now() - min(created_at)), 0)::float8 AS oldest_seconds
FROM cd_workflow_runner
WHERE status = 'Pending' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]));

-- name: ActiveWorkflows :one
-- Two counts, since each of the indexes holds some of these states.
SELECT ((SELECT count(*) FROM cd_workflow_runner
         WHERE status = 'Submitting' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[])))
      + (SELECT count(*) FROM cd_workflow_runner
         WHERE status IN ('Submitted', 'Running') AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))))::bigint AS active;
