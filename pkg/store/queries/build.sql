-- Builds that run here: each is a task of the kind ci, and takes its turn among those of its
-- pipeline and ref.

-- name: LockBuildTurn :one
-- Whoever gives turns of a pipeline and ref holds this row.
INSERT INTO build_turn (pipeline_uid, ref) SELECT @pipeline_uid::text, @ref::text
ON CONFLICT (pipeline_uid, ref) DO UPDATE SET ref = excluded.ref
RETURNING newest_at, newest_seq;

-- name: RaiseBuildTurn :exec
UPDATE build_turn SET newest_at = @newest_at::timestamptz, newest_seq = @newest_seq::bigint
WHERE pipeline_uid = @pipeline_uid::text AND ref = @ref::text AND (newest_at, newest_seq) < (@newest_at::timestamptz, @newest_seq::bigint);

-- name: InsertBuildTask :execrows
-- The task waits for its turn. A build has one task, ever.
WITH made AS (
    INSERT INTO task (kind, namespace, cluster, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, reason, priority, fair_at)
    SELECT 'ci', @namespace::text, COALESCE(n.inputs::jsonb->>'cluster', ''), 'CiPipeline', @owner_name::text, @owner_uid::text, @identity::text, @workflow_name::text, n.inputs::jsonb, 'Held', 'Turn', @priority::integer, now()
    FROM (SELECT @inputs::text AS inputs) n
    ON CONFLICT DO NOTHING
    RETURNING id, namespace, owner_name, owner_uid, inputs, status, reason
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, task_id, stage, state, reason, actor, actor_reason)
SELECT 'Task', m.namespace, m.inputs->>'build', m.owner_name, m.owner_uid, m.id, m.inputs->>'stage', m.status, m.reason,
       COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM made m;

-- name: BuildTasks :many
-- The tasks of builds.
SELECT id, owner_uid, cluster, (inputs->>'build_uid')::text AS build_uid, status, reason, message, workflow_name, workflow_uid, submitted_at, started_at, finished_at,
       EXTRACT(EPOCH FROM now() - changed_at)::float8 AS for_seconds
FROM task WHERE kind = 'ci' AND inputs->>'build_uid' = ANY(@build_uids::text[]);

-- name: OpenBuildTasks :many
-- Those of a pipeline and ref that have not ended, each with its build's place in the order.
SELECT t.id, t.status, t.reason, t.stop_reason, b.build_name, b.created_at, COALESCE(b.seq, 0)::bigint AS seq
FROM task t JOIN ci_build b ON b.build_uid = t.inputs->>'build_uid'
WHERE t.kind = 'ci' AND t.owner_uid = @owner_uid AND t.status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running')
  AND COALESCE(t.inputs->>'ref', '') = @ref::text
ORDER BY t.id FOR NO KEY UPDATE OF t;

-- name: MoveHeldBuilds :exec
-- Lets builds start whose turn it is, and ends those that were overtaken.
WITH wanted AS (
    SELECT unnest(@ids::bigint[]) AS id, unnest(@statuses::text[]) AS status, unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message
), moved AS (
    UPDATE task t
    SET status = w.status, reason = w.reason, message = w.message, fair_at = now(), queued_at = now(), changed_at = now(),
        finished_at = CASE w.status WHEN 'Pending' THEN NULL ELSE now() END
    FROM wanted w WHERE t.id = w.id AND t.status = 'Held' AND w.status IN ('Pending', 'Superseded', 'Cancelled', 'Error')
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, task_id, stage, state, reason, message, actor, actor_reason)
SELECT 'Task', m.namespace, m.inputs->>'build', m.owner_name, m.owner_uid, m.id, m.inputs->>'stage', m.status, m.reason, m.message,
       COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM moved m;

-- name: StopBuildTasks :execrows
-- Ends builds that wait, and has the Workflows stopped of those that are active. One that was
-- claimed before may have a Workflow that nobody knows of: its next claim looks, at once.
WITH locked AS (
    SELECT id, (status = 'Held' OR (status = 'Pending' AND attempt = 0)) AS ends FROM task
    WHERE id = ANY(@ids::bigint[]) AND kind = 'ci' AND stop_reason = '' AND status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running')
    ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE task t
    SET status = CASE WHEN NOT l.ends THEN t.status WHEN @reason::text = 'Replaced' THEN 'Superseded' ELSE 'Cancelled' END,
        reason = CASE WHEN l.ends THEN @reason::text ELSE t.reason END,
        message = CASE WHEN l.ends THEN @message::text ELSE t.message END,
        finished_at = CASE WHEN l.ends THEN now() ELSE t.finished_at END,
        available_at = CASE WHEN t.status = 'Pending' THEN '-infinity' ELSE t.available_at END,
        delayed_by = '', stop_reason = @reason::text, stop_message = @message::text,
        inputs = CASE @actor::text WHEN '' THEN t.inputs ELSE t.inputs || jsonb_build_object('actor', @actor::text, 'actor_reason', @actor_reason::text) END,
        changed_at = now()
    FROM locked l WHERE t.id = l.id
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message, l.ends
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, m.inputs->>'build', m.owner_name, m.owner_uid, m.id, m.inputs->>'stage', m.status, m.reason, m.message, COALESCE(NULLIF(@actor::text, ''), m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM moved m WHERE m.ends
)
SELECT id FROM moved;

-- name: AbandonedBuildTasks :many
-- Tasks of builds that have not ended although their CiBuild was deleted, or says how it ended,
-- by the mirror. Each is looked up: all builds that there ever were are more than those that are
-- open.
SELECT o.id, o.ended::text AS ended FROM (
    SELECT t.id, (SELECT CASE WHEN b.deleted_at IS NOT NULL THEN 'Deleted' WHEN b.phase IN ('Succeeded', 'Failed', 'Error', 'Cancelled') THEN b.phase ELSE '' END
                  FROM ci_build b WHERE b.build_uid = t.inputs->>'build_uid') AS ended
    FROM task t
    WHERE t.kind = 'ci' AND t.status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running') AND t.stop_reason = ''
      AND (cardinality(@namespaces::text[]) = 0 OR t.namespace = ANY(@namespaces::text[]))) o
WHERE o.ended <> ''
ORDER BY o.id LIMIT @most;

-- name: EndedBuildTasks :many
-- Tasks of builds that have ended, and whose CiBuild does not say so yet.
SELECT t.id, t.namespace, t.owner_name, t.owner_uid, (t.inputs->>'build')::text AS build_name, (t.inputs->>'build_uid')::text AS build_uid,
       COALESCE(t.inputs->>'ref', '')::text AS ref, t.cluster, t.status, t.reason, t.message, t.workflow_name, t.workflow_uid, t.submitted_at, t.started_at, t.finished_at
FROM task t
WHERE t.settled_at IS NULL AND t.kind = 'ci' AND t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')
  AND (cardinality(@namespaces::text[]) = 0 OR t.namespace = ANY(@namespaces::text[])) AND t.id <> ALL(@passed_over::bigint[])
ORDER BY t.id
LIMIT @most;

-- name: SettleBuildTasks :exec
UPDATE task SET settled_at = now() WHERE id = ANY(@ids::bigint[]) AND settled_at IS NULL
  AND status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded');
