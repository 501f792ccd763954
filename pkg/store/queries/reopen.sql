-- Tasks that have ended, and whose Workflow goes on: it was retried in Argo. All of it but
-- the first look happens with the pipelines' rows locked.

-- name: EndedOtherwise :many
-- Those of the Workflows whose task has ended otherwise than was seen of them. Whether a
-- Workflow failed, was stopped or is gone is one end here. Builds are never reopened.
SELECT t.namespace, t.workflow_name, t.workflow_uid, t.identity, t.reopened
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@workflow_names::text[]) AS workflow_name,
             unnest(@workflow_uids::text[]) AS workflow_uid, unnest(@statuses::text[]) AS status) o
JOIN task t ON t.namespace = o.namespace AND t.workflow_name = o.workflow_name AND t.cluster = @cluster::text AND t.workflow_uid = o.workflow_uid
WHERE t.kind = 'cd' AND t.workflow_uid <> '' AND t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')
  AND (CASE o.status WHEN 'Succeeded' THEN t.status <> 'Succeeded' WHEN 'Failed' THEN t.status = 'Succeeded' WHEN 'Error' THEN t.status = 'Succeeded' ELSE true END);

-- name: ReopenableTasks :many
-- What reopening a task is about: its run, and the turn of that. The stage may have gone on
-- with another attempt since, which has a task of its own: newer, with how often that was
-- claimed. overtaken_since is only looked for where a person asked for the turn: the place
-- of any other tells.
SELECT t.id, t.namespace, t.workflow_name, t.reopened, o.message::text AS message, (t.inputs->>'stage')::text AS stage,
       w.id AS run_id, w.turn_id, w.build_uid, w.pipeline, w.pipeline_uid, b.build_name, p.policy,
       n.request, n.built_at, n.build_seq, n.asked, n.state,
       (n.asked AND EXISTS (
           SELECT FROM cd_workflow ow JOIN turn ot ON ot.id = ow.turn_id
           WHERE ow.pipeline_uid = w.pipeline_uid AND ot.id <> n.id AND ot.taken_at > n.taken_at
             AND (ot.built_at, ot.build_seq) > (n.built_at, n.build_seq)))::boolean AS overtaken_since,
       r.id AS stage_id, (CASE WHEN r.task_id = t.id THEN 0 ELSE r.task_id END)::bigint AS newer_id,
       s.status AS newer_status, s.attempt AS newer_claims, s.reopened AS newer_reopened, (s.settled_at IS NOT NULL)::boolean AS newer_settled
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@workflow_names::text[]) AS workflow_name,
             unnest(@workflow_uids::text[]) AS workflow_uid, unnest(@counts::integer[]) AS count, unnest(@statuses::text[]) AS status, unnest(@messages::text[]) AS message) o
JOIN task t ON t.namespace = o.namespace AND t.workflow_name = o.workflow_name AND t.cluster = @cluster::text
    AND t.workflow_uid = o.workflow_uid AND t.reopened = o.count
JOIN cd_workflow w ON w.id = (t.inputs->>'run')::bigint
JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id AND r.stage = t.inputs->>'stage'
JOIN task s ON s.id = r.task_id
JOIN turn n ON n.id = w.turn_id
JOIN ci_build b ON b.build_uid = w.build_uid
JOIN cd_pipeline p ON p.pipeline_uid = w.pipeline_uid
WHERE t.kind = 'cd' AND t.workflow_uid <> '' AND t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')
  AND (CASE o.status WHEN 'Succeeded' THEN t.status <> 'Succeeded' WHEN 'Failed' THEN t.status = 'Succeeded' WHEN 'Error' THEN t.status = 'Succeeded' ELSE true END)
ORDER BY t.id;

-- name: LockReopenable :exec
-- Locks the tasks that reopening may move: those of the Workflows, and what the stages of
-- their runs point to. A worker that claims a waiting attempt meanwhile has either done so
-- before it is read, or passes it over.
SELECT l.id FROM task l
WHERE l.id = ANY(ARRAY(
    SELECT unnest(t.id || ARRAY(SELECT r.task_id FROM cd_workflow_runner r WHERE r.cd_workflow_id = (t.inputs->>'run')::bigint))
    FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@workflow_names::text[]) AS workflow_name,
                 unnest(@workflow_uids::text[]) AS workflow_uid) o
    JOIN task t ON t.namespace = o.namespace AND t.workflow_name = o.workflow_name AND t.cluster = @cluster::text AND t.workflow_uid = o.workflow_uid
    WHERE t.kind = 'cd'))
ORDER BY l.id FOR NO KEY UPDATE;

-- name: UnbegunStages :many
-- The stages of runs that have not begun, and those that never would since one before did
-- not succeed.
SELECT r.id AS stage_id, r.cd_workflow_id AS run_id, r.stage, t.id, t.reopened
FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
WHERE r.cd_workflow_id = ANY(@run_ids::bigint[]) AND (t.status = 'Held' OR (t.status = 'Cancelled' AND t.reason = 'StageBeforeFailed'))
ORDER BY t.id;

-- name: RetakeTurns :exec
-- Gives builds their turn once more.
UPDATE turn SET state = 'Active', taken_at = COALESCE(taken_at, now()), ended_at = NULL WHERE id = ANY(@turn_ids::bigint[]) AND state <> 'Active';

-- name: ReopenRuns :exec
-- The runs go on. The event tells that Argo's users did it, and, where a newer build has had
-- its turn, that nothing comes after.
WITH reopened AS (
    UPDATE cd_workflow w SET outcome = NULL, finished_at = NULL, overtaken = n.overtaken
    FROM (SELECT unnest(@run_ids::bigint[]) AS id, unnest(@overtaken::boolean[]) AS overtaken,
                 unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message) n
    WHERE w.id = n.id
    RETURNING w.id, w.namespace, w.build_uid, w.pipeline, w.pipeline_uid, n.reason, n.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, state, reason, message, actor)
SELECT 'Run', n.namespace, b.build_name, n.pipeline, n.pipeline_uid, n.id, 'Reopened', n.reason, n.message, 'Argo'
FROM reopened n JOIN ci_build b ON b.build_uid = n.build_uid;

-- name: ReopenTasks :many
-- The one way out of an end: each counts as reopened once more. A task becomes Running, since
-- its Workflow does; Held, a stage behind it that has not begun; or Cancelled, an attempt that
-- was to come after it. What follows the new end follows then, but for an attempt that its
-- stage has left behind (alone): nothing follows that.
WITH locked AS (
    SELECT t.id, n.becomes, n.message, n.alone
    FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@becomes::text[]) AS becomes, unnest(@counts::integer[]) AS count,
                 unnest(@alone::boolean[]) AS alone, unnest(@messages::text[]) AS message) n
    JOIN task t ON t.id = n.id
    WHERE t.reopened = n.count AND (
           (n.becomes = 'Running' AND t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded'))
        OR (n.becomes = 'Held' AND ((t.status = 'Held' AND t.reason <> 'StageBefore') OR (t.status = 'Cancelled' AND t.reason = 'StageBeforeFailed')))
        OR (n.becomes = 'Cancelled' AND t.status = 'Pending' AND t.attempt = 0))
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t
    SET status = l.becomes,
        reason = CASE l.becomes WHEN 'Held' THEN 'StageBefore' ELSE 'WorkflowRetried' END,
        message = l.message,
        reopened = CASE WHEN t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded') THEN t.reopened + 1 ELSE t.reopened END,
        stop_reason = '', stop_message = '',
        submitted_at = CASE l.becomes WHEN 'Running' THEN COALESCE(t.submitted_at, now()) ELSE t.submitted_at END,
        started_at = CASE l.becomes WHEN 'Running' THEN COALESCE(t.started_at, now()) ELSE t.started_at END,
        finished_at = CASE WHEN l.becomes = 'Cancelled' THEN now() END,
        settled_at = CASE WHEN l.becomes = 'Cancelled' THEN now() WHEN l.alone THEN COALESCE(t.settled_at, now()) END,
        changed_at = now()
    FROM locked l
    WHERE t.id = l.id
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message, 'Argo'
    FROM moved m
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name
FROM moved m;

-- name: PointStagesBack :exec
-- Points stages to the tasks whose Workflow goes on, and forgets who let stages go on that
-- have not begun: they wait for a person again. The number of the attempt stays, so that the
-- next one has another.
UPDATE cd_workflow_runner r SET task_id = n.task_id, resumed_by = NULL
FROM (SELECT unnest(@stage_ids::bigint[]) AS id, unnest(@task_ids::bigint[]) AS task_id) n
WHERE r.id = n.id AND (r.task_id <> n.task_id OR r.resumed_by IS NOT NULL);

-- name: SupersedeLaterStages :exec
-- A stage of a run has succeeded that a newer build has overtaken: those behind it never
-- start. Nothing follows their end.
WITH locked AS (
    SELECT t.id FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id
    WHERE r.cd_workflow_id = ANY(@run_ids::bigint[]) AND t.status = 'Held' AND t.reason = 'StageBefore'
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t
    SET status = 'Superseded', reason = 'Superseded', message = @message::text, finished_at = now(), settled_at = now(), changed_at = now()
    FROM locked WHERE t.id = locked.id AND t.status = 'Held'
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
       m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
       COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM moved m;

-- name: TriggeredBelow :many
-- Which artifacts of a build were triggered in which pipelines.
SELECT pipeline_uid, image, digest FROM trigger_decision
WHERE build_uid = @build_uid AND pipeline_uid = ANY(@pipeline_uids::text[]) AND outcome = 'Triggered';
