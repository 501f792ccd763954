-- Turns: whose build runs in a pipeline, and whose waits. All of it happens with the
-- pipelines' rows locked.

-- name: EnsurePipelines :exec
-- Adds the pipelines that are missing, and locks all, in the order of their UIDs as the
-- mirror does: to add first and lock then would be two orders. The condition is looked at
-- once the row is locked.
INSERT INTO cd_pipeline (pipeline_uid, namespace, pipeline)
SELECT p.pipeline_uid, p.namespace, p.pipeline
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@namespaces::text[]) AS namespace, unnest(@pipelines::text[]) AS pipeline) p
ORDER BY p.pipeline_uid
ON CONFLICT (pipeline_uid) DO UPDATE SET namespace = excluded.namespace WHERE false;

-- name: LockPipelines :many
SELECT pipeline_uid, newest_at, newest_seq FROM cd_pipeline
WHERE pipeline_uid = ANY(@pipeline_uids::text[])
ORDER BY pipeline_uid
FOR NO KEY UPDATE;

-- name: LiveTurns :many
-- The turns that have not ended. Where builds do not wait for each other there may be any
-- number: only those of some builds are read, and those that wait all the same, since
-- that has just been changed.
SELECT t.id, t.pipeline_uid, t.build_uid, t.request, t.built_at, t.build_seq, t.asked, t.state, b.build_name
FROM (
    SELECT * FROM turn WHERE turn.pipeline_uid = ANY(@ordered::text[]) AND turn.state IN ('Waiting', 'Active', 'Yielded')
    UNION ALL
    SELECT * FROM turn WHERE turn.pipeline_uid = ANY(@unordered::text[]) AND turn.state = 'Waiting'
    UNION ALL
    SELECT * FROM turn WHERE turn.build_uid = ANY(@build_uids::text[]) AND turn.pipeline_uid = ANY(@unordered::text[])
        AND turn.state IN ('Active', 'Yielded')
) t
JOIN ci_build b ON b.build_uid = t.build_uid
ORDER BY t.id;

-- name: InsertTurns :many
INSERT INTO turn (pipeline_uid, build_uid, request, built_at, build_seq, asked, state, taken_at)
SELECT n.pipeline_uid, @build_uid::text, @request::text, b.created_at, b.seq, @asked::boolean, n.state,
       CASE n.state WHEN 'Active' THEN now() END
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@states::text[]) AS state) n
JOIN ci_build b ON b.build_uid = @build_uid::text
RETURNING id, pipeline_uid;

-- name: RaiseNewest :exec
-- Notes the places of builds that have taken their turn.
UPDATE cd_pipeline p SET newest_at = n.built_at, newest_seq = n.build_seq
FROM (SELECT DISTINCT ON (pipeline_uid) pipeline_uid, built_at, build_seq FROM turn WHERE id = ANY(@turn_ids::bigint[])
      ORDER BY pipeline_uid, built_at DESC, build_seq DESC) n
WHERE n.pipeline_uid = p.pipeline_uid AND (n.built_at, n.build_seq) > (p.newest_at, p.newest_seq);

-- name: TakeTurns :exec
-- Gives builds their turn: what was held for it may start.
WITH taken AS (
    UPDATE turn SET state = 'Active', taken_at = COALESCE(taken_at, now()) WHERE id = ANY(@turn_ids::bigint[]) RETURNING id
), locked AS (
    SELECT t.id FROM task t
    JOIN cd_workflow_runner r ON r.task_id = t.id
    JOIN cd_workflow w ON w.id = r.cd_workflow_id
    JOIN taken ON taken.id = w.turn_id
    WHERE t.status = 'Held' AND t.reason = 'Turn'
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t SET status = 'Pending', reason = '', message = '', fair_at = now(), queued_at = now(), changed_at = now()
    FROM locked WHERE t.id = locked.id AND t.status = 'Held' AND t.reason = 'Turn'
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
       m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
       COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM moved m;

-- name: SupersedeTurns :execrows
-- Ends builds that were overtaken before they started, or while they waited.
WITH ended AS (
    SELECT unnest(@turn_ids::bigint[]) AS id, unnest(@messages::text[]) AS message
), superseded AS (
    UPDATE turn SET state = 'Superseded', ended_at = now() FROM ended WHERE turn.id = ended.id RETURNING turn.id, ended.message
), locked AS (
    SELECT t.id, s.message FROM task t
    JOIN cd_workflow_runner r ON r.task_id = t.id
    JOIN cd_workflow w ON w.id = r.cd_workflow_id
    JOIN superseded s ON s.id = w.turn_id
    WHERE t.status = 'Held' AND t.reason <> 'StageBefore'
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t SET status = 'Superseded', reason = 'Superseded', message = locked.message, finished_at = now(), changed_at = now()
    FROM locked WHERE t.id = locked.id AND t.status = 'Held'
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
       m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
       COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM moved m;

-- name: TurnFacts :many
-- What there is of each turn: whether a run of it has not ended, whether anything of it
-- is under way, and whether anything is held for the turn itself. A run that was overtaken
-- goes on without the turn.
SELECT w.turn_id,
       bool_or(w.outcome IS NULL AND NOT w.overtaken)::boolean AS is_open,
       bool_or(w.outcome IS NULL AND NOT w.overtaken AND (t.status IN ('Pending', 'Submitting', 'Submitted', 'Running') OR (t.settled_at IS NULL AND t.status <> 'Held')))::boolean AS is_active,
       bool_or(w.outcome IS NULL AND NOT w.overtaken AND t.status = 'Held' AND t.reason = 'Turn')::boolean AS wants
FROM cd_workflow w
JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
JOIN task t ON t.id = r.task_id
WHERE w.turn_id = ANY(@turn_ids::bigint[])
GROUP BY w.turn_id;

-- name: SetTurns :exec
UPDATE turn SET state = n.state, ended_at = CASE WHEN n.state = 'Ended' THEN now() END
FROM (SELECT unnest(@turn_ids::bigint[]) AS id, unnest(@states::text[]) AS state) n
WHERE turn.id = n.id AND turn.state IN ('Waiting', 'Active', 'Yielded') AND turn.state <> n.state;

-- name: RunsOfTurns :many
SELECT id FROM cd_workflow WHERE turn_id = ANY(@turn_ids::bigint[]) AND outcome IS NULL AND NOT overtaken ORDER BY id;
