-- The queue: claim, complete, reclaim, observe and count touch the one table task. Every
-- batch locks its rows in the order of their ids, so that two batches that overlap wait
-- for each other instead of dying of a deadlock; whoever locks pipelines too locks them
-- first.

-- name: ClaimTasks :many
-- Takes the head of one lane for one worker, for the length of a lease by the
-- database's clock. Rows that another worker holds locked are passed over. What the
-- head holds is locked as Pending: the update says so no second time, and takes the
-- ids as an array, so that it goes by the primary key whatever Postgres believes of
-- the limit or of the queue's length. A claim is a lease and no event: nobody but the
-- dispatcher acts on it.
-- Namespaces may have room for a few tasks only, or for none. What is beyond that is set
-- aside (delayed_by), so that no later claim walks over it. It stays Pending. What is to be
-- ended is taken in any case: a task that was claimed before is available since -infinity
-- only then.
WITH head AS (
    SELECT id, namespace, priority, fair_at, (stop_reason <> '' OR (attempt > 0 AND available_at = '-infinity')) AS ends FROM task
    WHERE status = 'Pending' AND delayed_by = '' AND task.kind = @kind::text AND task.cluster = @cluster::text AND task.cluster_uid IN ('', @cluster_uid::text) AND available_at <= now()
      AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
    ORDER BY priority DESC, fair_at, id
    LIMIT @look
    FOR UPDATE SKIP LOCKED
), ranked AS (
    SELECT id, priority, fair_at,
           (ends OR row_number() OVER (PARTITION BY namespace, ends ORDER BY priority DESC, fair_at, id)
                    <= COALESCE((@rooms::integer[])[array_position(@limited::text[], namespace)], @room::integer)) AS fits
    FROM head
), taken AS (
    SELECT id FROM ranked WHERE fits ORDER BY priority DESC, fair_at, id LIMIT @most
), claimed AS (
    UPDATE task t
    SET status = CASE WHEN n.takes THEN 'Submitting' ELSE t.status END,
        attempt = CASE WHEN n.takes THEN t.attempt + 1 ELSE t.attempt END,
        cluster_uid = CASE WHEN n.takes THEN @cluster_uid::text ELSE t.cluster_uid END,
        claimed_by = CASE WHEN n.takes THEN @worker::text ELSE t.claimed_by END,
        lease_until = CASE WHEN n.takes THEN now() + @lease::interval END,
        delayed_by = CASE WHEN n.takes THEN '' ELSE COALESCE((@causes::text[])[array_position(@limited::text[], t.namespace)], @cause::text) END,
        changed_at = now()
    FROM (SELECT taken.id, true AS takes FROM taken UNION ALL SELECT ranked.id, false FROM ranked WHERE NOT ranked.fits) n
    WHERE t.id = n.id AND t.id = ANY(ARRAY(SELECT taken.id FROM taken UNION ALL SELECT ranked.id FROM ranked WHERE NOT ranked.fits))
    RETURNING t.id, t.kind, t.namespace, t.cluster, t.owner_kind, t.owner_name, t.owner_uid, t.identity, t.workflow_name,
        t.inputs, t.attempt, t.failures, t.stop_reason, t.priority, t.fair_at, t.queued_at, t.delayed_by
)
SELECT c.id, c.kind, c.namespace, c.cluster, c.owner_kind, c.owner_name, c.owner_uid, c.identity, c.workflow_name,
       c.inputs, c.attempt, c.failures, c.stop_reason, EXTRACT(EPOCH FROM now() - c.queued_at)::float8 AS waited_seconds, c.delayed_by
FROM claimed c
ORDER BY c.priority DESC, c.fair_at, c.id;

-- name: ClaimDelayed :many
-- Takes some of the tasks of a lane that were set aside, of each namespace as many as there
-- is room for. For a cause of the whole namespace any task will do. Where a cause may be
-- of one task, those that were tried are left alone for a while.
WITH room AS (
    SELECT unnest(@limited::text[]) AS namespace, unnest(@rooms::integer[]) AS tasks
), head AS (
    SELECT n.id FROM room
    CROSS JOIN LATERAL (
        SELECT task.id FROM task
        WHERE task.status = 'Pending' AND task.delayed_by <> '' AND task.kind = @kind::text AND task.cluster = @cluster::text AND task.cluster_uid IN ('', @cluster_uid::text)
          AND task.namespace = room.namespace AND (task.available_at <= now() OR NOT task.delayed_by = ANY(@of_objects::text[]))
        ORDER BY task.priority DESC, task.fair_at, task.id
        LIMIT room.tasks
        FOR UPDATE SKIP LOCKED
    ) n
), claimed AS (
    UPDATE task t
    SET status = 'Submitting', cluster_uid = @cluster_uid::text, attempt = attempt + 1, claimed_by = @worker::text,
        lease_until = now() + @lease::interval, delayed_by = '', changed_at = now()
    WHERE t.id = ANY(ARRAY(SELECT head.id FROM head))
    RETURNING t.id, t.kind, t.namespace, t.cluster, t.owner_kind, t.owner_name, t.owner_uid, t.identity, t.workflow_name,
        t.inputs, t.attempt, t.failures, t.stop_reason, t.priority, t.fair_at, t.queued_at, t.delayed_by
)
SELECT c.id, c.kind, c.namespace, c.cluster, c.owner_kind, c.owner_name, c.owner_uid, c.identity, c.workflow_name,
       c.inputs, c.attempt, c.failures, c.stop_reason, EXTRACT(EPOCH FROM now() - c.queued_at)::float8 AS waited_seconds, c.delayed_by
FROM claimed c
ORDER BY c.priority DESC, c.fair_at, c.id;

-- name: ClaimEnding :many
-- Takes tasks of a lane that are to be ended, or held, once their submitter has looked for
-- their Workflow. It has an index of its own, since it looks past a queue that stands still.
-- One of which that can't be looked for goes behind the others, as in the queue.
WITH head AS (
    SELECT id FROM task
    WHERE status = 'Pending' AND (stop_reason <> '' OR (attempt > 0 AND available_at = '-infinity'))
      AND task.kind = @kind::text AND task.cluster = @cluster::text AND task.cluster_uid IN ('', @cluster_uid::text) AND available_at <= now()
      AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
    ORDER BY fair_at, id
    LIMIT @most
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE task t
    SET status = 'Submitting', cluster_uid = @cluster_uid::text, attempt = attempt + 1, claimed_by = @worker::text,
        lease_until = now() + @lease::interval, delayed_by = '', changed_at = now()
    WHERE t.id = ANY(ARRAY(SELECT head.id FROM head))
    RETURNING t.id, t.kind, t.namespace, t.cluster, t.owner_kind, t.owner_name, t.owner_uid, t.identity, t.workflow_name,
        t.inputs, t.attempt, t.failures, t.stop_reason, t.priority, t.fair_at, t.queued_at, t.delayed_by
)
SELECT c.id, c.kind, c.namespace, c.cluster, c.owner_kind, c.owner_name, c.owner_uid, c.identity, c.workflow_name,
       c.inputs, c.attempt, c.failures, c.stop_reason, EXTRACT(EPOCH FROM now() - c.queued_at)::float8 AS waited_seconds, c.delayed_by
FROM claimed c
ORDER BY c.priority DESC, c.fair_at, c.id;

-- name: ReleaseDelayed :execrows
-- Puts tasks that were set aside back into the queue, where their place is still theirs.
WITH head AS (
    SELECT id FROM task
    WHERE status = 'Pending' AND delayed_by <> '' AND task.kind = @kind::text AND task.cluster = @cluster::text
      AND task.namespace = ANY(@released::text[])
    LIMIT @most
    FOR UPDATE SKIP LOCKED
)
UPDATE task t SET delayed_by = '', changed_at = now()
WHERE t.id = ANY(ARRAY(SELECT head.id FROM head));

-- name: DelayedNamespaces :many
-- The namespaces of a lane of which tasks are set aside, each with the cause of the first.
-- It looks into the index once for each.
WITH RECURSIVE found AS (
    (SELECT namespace, delayed_by FROM task
     WHERE status = 'Pending' AND delayed_by <> '' AND task.kind = @kind::text AND task.cluster = @cluster::text
     ORDER BY namespace, priority DESC, fair_at, id LIMIT 1)
    UNION ALL
    SELECT n.namespace, n.delayed_by FROM found f
    CROSS JOIN LATERAL (
        SELECT task.namespace, task.delayed_by FROM task
        WHERE task.status = 'Pending' AND task.delayed_by <> '' AND task.kind = @kind::text AND task.cluster = @cluster::text
          AND task.namespace > f.namespace
        ORDER BY task.namespace, task.priority DESC, task.fair_at, task.id LIMIT 1
    ) n
)
SELECT namespace, delayed_by FROM found
WHERE cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]);

-- name: DelayedOwners :many
-- Whose tasks are set aside in a namespace: the first few of the queue.
SELECT h.owner_name AS pipeline, COALESCE(h.inputs->>'build', '')::text AS build_name
FROM (SELECT owner_name, inputs FROM task
      WHERE status = 'Pending' AND delayed_by <> '' AND kind = 'cd' AND cluster = '' AND namespace = @namespace
      ORDER BY priority DESC, fair_at, id
      LIMIT @most) h;

-- name: DelayedTasks :many
-- How many tasks wait because the API server refused some, by reason. Each half has an
-- index.
SELECT d.reason, sum(d.tasks)::bigint AS tasks
FROM (SELECT delayed_by AS reason, count(*) AS tasks FROM task
      WHERE status = 'Pending' AND delayed_by <> '' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
      GROUP BY 1
      UNION ALL
      SELECT reason, count(*) FROM task
      WHERE status = 'Pending' AND delayed_by = '' AND reason <> '' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
      GROUP BY 1) d
GROUP BY 1;

-- name: CompleteTasks :many
-- Records what became of claimed tasks. A task counts only while it is still this
-- worker's: the same worker, the same attempt, not yet taken further. One that is
-- to be tried again later goes behind those that come meanwhile, or tasks that fail
-- for ever would keep all others waiting. One that is to be stopped is claimed again at
-- once, also where it would be held: its submitter looks whether an attempt has made its
-- Workflow. One that is set aside, or only given back, is available since the epoch:
-- -infinity would mean that it is to be ended. What is locked is found by its id again, and
-- what becomes of it by its place in the arrays: joins would be as slow as the square of the
-- batch where Postgres knows of no task that is being submitted. No id is there twice.
WITH locked AS (
    SELECT id, array_position(@ids::bigint[], id) AS n FROM task
    WHERE id = ANY(@ids::bigint[]) AND status = 'Submitting' AND claimed_by = @worker::text
    ORDER BY id FOR NO KEY UPDATE
), completed AS (
    SELECT id, (@attempts::integer[])[n] AS attempt, (@statuses::text[])[n] AS status, (@reasons::text[])[n] AS reason, (@messages::text[])[n] AS message,
           (@faileds::boolean[])[n] AS failed, (@delays::interval[])[n] AS delay, (@workflow_uids::text[])[n] AS workflow_uid, (@delayed_bys::text[])[n] AS delayed_by
    FROM locked
), moved AS (
    UPDATE task t
    SET status = CASE WHEN c.status = 'Cancelled' AND t.stop_reason = 'Replaced' THEN 'Superseded'
                      WHEN c.status = 'Held' AND t.stop_reason <> '' THEN 'Pending' ELSE c.status END,
        reason = CASE WHEN c.status = 'Cancelled' AND t.stop_reason <> '' THEN t.stop_reason
                      WHEN c.status = 'Held' AND t.stop_reason <> '' THEN '' ELSE c.reason END,
        message = CASE WHEN c.status = 'Cancelled' AND t.stop_reason <> '' THEN t.stop_message
                       WHEN c.status = 'Held' AND t.stop_reason <> '' THEN '' ELSE c.message END,
        workflow_uid = CASE WHEN c.workflow_uid <> '' THEN c.workflow_uid ELSE t.workflow_uid END,
        cluster_uid = CASE WHEN c.status = 'Held' AND t.stop_reason = '' THEN '' ELSE t.cluster_uid END,
        failures = CASE WHEN c.failed THEN t.failures + 1 ELSE t.failures END,
        submitted_at = CASE WHEN c.status = 'Submitted' THEN now() ELSE t.submitted_at END,
        finished_at = CASE WHEN c.status IN ('Error', 'Cancelled') THEN now() ELSE t.finished_at END,
        available_at = CASE WHEN t.stop_reason <> '' THEN t.available_at
                            WHEN c.delay > interval '0' THEN now() + c.delay
                            WHEN c.status IN ('Pending', 'Held') AND t.available_at = '-infinity' THEN 'epoch' ELSE t.available_at END,
        delayed_by = CASE WHEN c.status = 'Pending' AND t.stop_reason = '' THEN c.delayed_by ELSE '' END,
        fair_at = CASE WHEN c.delay > interval '0' THEN GREATEST(t.fair_at, now() + c.delay) ELSE t.fair_at END,
        claimed_by = CASE WHEN c.status IN ('Pending', 'Held') THEN '' ELSE t.claimed_by END,
        lease_until = NULL, changed_at = now()
    FROM completed c
    WHERE t.id = c.id AND t.attempt = c.attempt
      AND c.status IN ('Submitted', 'Pending', 'Held', 'Error', 'Cancelled')
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
           COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM moved m WHERE m.status <> 'Pending' OR m.reason <> ''
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name
FROM moved m;

-- name: ReclaimExpired :execrows
-- Gives tasks back whose worker let the lease run out, or has not said for a while that it
-- lives. A worker of an older version is not known, and has its lease.
WITH silent AS (
    SELECT name FROM worker WHERE beat_at < now() - @silence::interval
), expired AS (
    SELECT id FROM task
    WHERE status = 'Submitting' AND (lease_until < now() OR claimed_by IN (SELECT silent.name FROM silent))
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE task t
SET status = 'Pending', claimed_by = '', lease_until = NULL, changed_at = now(),
    available_at = CASE WHEN t.available_at = '-infinity' THEN 'epoch' ELSE t.available_at END
FROM expired
WHERE t.id = expired.id AND t.status = 'Submitting';

-- name: QueueDepth :one
-- The queue, without what is set aside from it: DelayedTasks counts that. What waits for a
-- cluster that does not answer is no queue that stands still.
SELECT count(*) AS pending, COALESCE(EXTRACT(EPOCH FROM now() - min(queued_at)), 0)::float8 AS oldest_seconds
FROM task
WHERE status = 'Pending' AND delayed_by = '' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
  AND (cluster = '' OR cluster NOT IN (SELECT l.cluster FROM cluster_lane l WHERE l.reason <> ''));

-- name: ActiveWorkflows :one
-- Two counts, since each of the indexes holds some of these states.
SELECT ((SELECT count(*) FROM task
         WHERE status = 'Submitting' AND cluster = @cluster::text AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[])))
      + (SELECT count(*) FROM task
         WHERE status IN ('Submitted', 'Running') AND cluster = @cluster::text AND id <> ALL(@suspended::bigint[])
           AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))))::bigint AS active;

-- name: ActiveByNamespace :many
-- The same by namespace.
SELECT a.namespace, count(*) AS active
FROM (SELECT namespace FROM task
      WHERE status = 'Submitting' AND cluster = @cluster::text AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
      UNION ALL
      SELECT namespace FROM task
      WHERE status IN ('Submitted', 'Running') AND cluster = @cluster::text AND id <> ALL(@suspended::bigint[])
        AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))) a
GROUP BY 1;

-- name: OldestActive :many
-- The tasks of this cluster that have had a Workflow for the longest time, but for some.
SELECT id, namespace, workflow_name, workflow_uid, COALESCE(submitted_at, created_at)::timestamptz AS since
FROM task
WHERE status IN ('Submitted', 'Running') AND cluster = @cluster::text AND id <> ALL(@passed_over::bigint[])
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
ORDER BY COALESCE(submitted_at, created_at), id
LIMIT @most;

-- name: ObserveWorkflows :many
-- Moves tasks to where their Workflows are; never backwards, and never out of an
-- end state. A Workflow is a task's by its name, which is derived from the task's
-- identity, and by its UID once that is known; until then the whole identity must be
-- the task's: whoever copies our labels moves nothing. A Workflow may be seen before
-- the worker that made it has said so. Only what will move is locked, and what has
-- changed until then is judged again. A task that somebody else holds locked keeps no
-- other waiting: it is returned as busy, and stays.
WITH observed AS (
    SELECT unnest(@namespaces::text[]) AS namespace, unnest(@workflow_names::text[]) AS workflow_name,
           unnest(@workflow_uids::text[]) AS workflow_uid, unnest(@identities::text[]) AS identity,
           unnest(@statuses::text[]) AS status, unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message
), wanted AS (
    SELECT t.id, o.* FROM task t JOIN observed o ON t.namespace = o.namespace AND t.workflow_name = o.workflow_name AND t.cluster = @cluster::text
    WHERE (t.workflow_uid = o.workflow_uid OR (t.workflow_uid = '' AND t.identity = o.identity))
      AND (   (t.status IN ('Pending', 'Submitting') AND o.status IN ('Submitted', 'Running', 'Succeeded', 'Failed', 'Error', 'Cancelled'))
           OR (t.status = 'Submitted' AND o.status IN ('Running', 'Succeeded', 'Failed', 'Error', 'Cancelled'))
           OR (t.status = 'Running' AND o.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled')))
), locked AS (
    SELECT t.id, o.namespace, o.workflow_name, o.workflow_uid, o.status, o.reason, o.message FROM task t JOIN wanted o ON o.id = t.id
    WHERE (t.workflow_uid = o.workflow_uid OR (t.workflow_uid = '' AND t.identity = o.identity))
      AND (   (t.status IN ('Pending', 'Submitting') AND o.status IN ('Submitted', 'Running', 'Succeeded', 'Failed', 'Error', 'Cancelled'))
           OR (t.status = 'Submitted' AND o.status IN ('Running', 'Succeeded', 'Failed', 'Error', 'Cancelled'))
           OR (t.status = 'Running' AND o.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled')))
    ORDER BY t.id FOR NO KEY UPDATE OF t SKIP LOCKED
), moved AS (
    UPDATE task t
    SET status = CASE WHEN o.status NOT IN ('Failed', 'Error') OR t.stop_reason = '' THEN o.status
                      WHEN t.stop_reason = 'Replaced' THEN 'Superseded' ELSE 'Cancelled' END,
        reason = CASE WHEN o.status NOT IN ('Failed', 'Error') THEN o.reason
                      WHEN t.stop_reason <> '' THEN t.stop_reason
                      ELSE o.reason END,
        message = CASE WHEN o.status IN ('Failed', 'Error') AND t.stop_reason <> '' THEN t.stop_message
                       WHEN o.message <> '' OR o.status <> t.status THEN o.message ELSE t.message END,
        workflow_uid = CASE WHEN t.workflow_uid = '' THEN o.workflow_uid ELSE t.workflow_uid END,
        submitted_at = COALESCE(t.submitted_at, now()),
        started_at = CASE WHEN o.status = 'Submitted' THEN t.started_at ELSE COALESCE(t.started_at, now()) END,
        finished_at = CASE WHEN o.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled') THEN now() END,
        lease_until = NULL, changed_at = now()
    FROM locked o
    WHERE t.id = o.id
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
           COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM moved m
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name, false AS busy
FROM moved m
UNION ALL
SELECT w.id, w.workflow_name, w.status, w.namespace, '', '', '', true
FROM wanted w WHERE w.id NOT IN (SELECT locked.id FROM locked);

-- name: LostWorkflows :many
-- Ends tasks whose Workflow is gone. A task that still waits for its Workflow is
-- not among them: it has lost nothing. A task that somebody else holds locked is returned
-- as busy, and stays.
WITH wanted AS (
    SELECT task.id, task.namespace, task.workflow_name, task.status FROM task WHERE task.id = ANY(@ids::bigint[]) AND task.status IN ('Submitted', 'Running')
), locked AS (
    SELECT t.id FROM task t WHERE t.id IN (SELECT wanted.id FROM wanted) AND t.status IN ('Submitted', 'Running')
    ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE task t
    SET status = CASE t.stop_reason WHEN '' THEN 'Error' WHEN 'Replaced' THEN 'Superseded' ELSE 'Cancelled' END,
        reason = CASE t.stop_reason WHEN '' THEN o.reason ELSE t.stop_reason END,
        message = CASE t.stop_reason WHEN '' THEN o.message ELSE t.stop_message END,
        finished_at = now(), changed_at = now()
    FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message) o
    JOIN locked ON locked.id = o.id
    WHERE t.id = o.id AND t.status IN ('Submitted', 'Running')
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
           COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM moved m
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name, false AS busy
FROM moved m
UNION ALL
SELECT w.id, w.workflow_name, w.status, w.namespace, '', '', '', true
FROM wanted w WHERE w.id NOT IN (SELECT locked.id FROM locked);

-- name: OpenTasks :many
-- Those of the Workflows that are of a task which has not ended, or of a build whose outputs
-- may not have been read yet.
SELECT t.namespace, t.workflow_name
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@workflow_names::text[]) AS workflow_name) w
JOIN task t ON t.namespace = w.namespace AND t.workflow_name = w.workflow_name AND t.cluster = @cluster::text
WHERE t.status NOT IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded') OR (t.kind = 'ci' AND t.settled_at IS NULL);

-- name: EndedTasks :many
-- Those of the Workflows whose task has ended, and whether it ever had one. What has taken
-- a task's name is somebody else's.
SELECT t.namespace, t.workflow_name, t.identity, t.status, (t.submitted_at IS NOT NULL)::boolean AS had_workflow
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@workflow_names::text[]) AS workflow_name) w
JOIN task t ON t.namespace = w.namespace AND t.workflow_name = w.workflow_name AND t.cluster = @cluster::text
WHERE t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded') AND t.reason <> 'NameConflict';

-- name: StaleActive :many
-- Tasks whose Workflow should exist and has not been heard of for a while.
SELECT id, workflow_name, namespace, identity
FROM task
WHERE status IN ('Submitted', 'Running') AND cluster = @cluster::text AND changed_at < now() - @quiet::interval AND id > @after
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
ORDER BY id
LIMIT @most;

-- name: StopTasks :many
-- Ends what waits of the runs, and has the Workflows stopped of what is active. A task
-- that was claimed before may have a Workflow that nobody knows of: its next claim looks,
-- at once. A stage that waits for the one before is ended by what follows that one, which
-- may be over already: nothing goes on then either. What is being stopped is left alone.
WITH locked AS (
    SELECT t.id, (t.status = 'Held' OR (t.status = 'Pending' AND t.attempt = 0)) AS ends
    FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id
    WHERE r.cd_workflow_id = ANY(@run_ids::bigint[]) AND t.stop_reason = ''
      AND (t.status IN ('Pending', 'Submitting', 'Submitted', 'Running') OR (t.status = 'Held' AND t.reason <> 'StageBefore')
           OR (t.settled_at IS NULL AND t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')))
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t
    SET status = CASE WHEN NOT l.ends THEN t.status WHEN @reason::text = 'Replaced' THEN 'Superseded' ELSE 'Cancelled' END,
        reason = CASE WHEN l.ends THEN @reason::text ELSE t.reason END,
        message = CASE WHEN l.ends THEN @message::text ELSE t.message END,
        finished_at = CASE WHEN l.ends THEN now() ELSE t.finished_at END,
        available_at = CASE WHEN t.status = 'Pending' THEN '-infinity' ELSE t.available_at END,
        delayed_by = '',
        stop_reason = CASE WHEN t.stop_reason = '' THEN @reason::text ELSE t.stop_reason END,
        stop_message = CASE WHEN t.stop_reason = '' THEN @message::text ELSE t.stop_message END,
        inputs = CASE @actor::text WHEN '' THEN t.inputs ELSE t.inputs || jsonb_build_object('actor', @actor::text, 'actor_reason', @actor_reason::text) END,
        changed_at = now()
    FROM locked l
    WHERE t.id = l.id
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message, l.ends
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message, COALESCE(NULLIF(@actor::text, ''), m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM moved m WHERE m.ends
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name
FROM moved m;

-- name: CancelWaiting :many
-- Ends what waits of a pipeline; where a parent is given, only what another parent has
-- triggered. What has been claimed before is claimed again at once: its submitter looks
-- whether it has a Workflow, and ends it.
WITH locked AS (
    SELECT id, (status = 'Held' OR attempt = 0) AS ends FROM task
    WHERE task.owner_uid = @owner_uid::text AND status IN ('Held', 'Pending') AND NOT (status = 'Held' AND reason = 'StageBefore')
      AND (@parent::text = '' OR inputs->>'parent' <> @parent::text)
    ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE task t
    SET status = CASE WHEN l.ends THEN 'Cancelled' ELSE t.status END,
        reason = CASE WHEN l.ends THEN @reason::text ELSE t.reason END,
        message = CASE WHEN l.ends THEN @message::text ELSE t.message END,
        finished_at = CASE WHEN l.ends THEN now() END,
        available_at = '-infinity', delayed_by = '', changed_at = now()
    FROM locked l
    WHERE t.id = l.id
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
           COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM moved m WHERE m.status = 'Cancelled'
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name
FROM moved m;

-- name: HoldPending :exec
-- Holds what waits for a slot. What has been claimed before may have a Workflow that nobody
-- knows of: it is claimed again at once, and its submitter looks before it holds it.
WITH locked AS (
    SELECT id, attempt = 0 AS holds FROM task
    WHERE owner_uid = @owner_uid::text AND status = 'Pending' AND stop_reason = ''
    ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE task t
    SET status = CASE WHEN l.holds THEN 'Held' ELSE t.status END,
        reason = CASE WHEN l.holds THEN @reason::text ELSE t.reason END,
        message = CASE WHEN l.holds THEN @message::text ELSE t.message END,
        available_at = CASE WHEN l.holds THEN t.available_at ELSE '-infinity' END, delayed_by = '', changed_at = now()
    FROM locked l
    WHERE t.id = l.id AND t.status = 'Pending'
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
       m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
       COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM moved m WHERE m.status = 'Held';

-- name: SetPriority :execrows
-- Moves what waits of a pipeline to its place in the queue. That is no transition.
WITH locked AS (
    SELECT id FROM task
    WHERE owner_uid = @owner_uid::text AND status IN ('Held', 'Pending') AND priority <> @priority::integer
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE task t SET priority = @priority::integer
FROM locked WHERE t.id = locked.id AND t.status IN ('Held', 'Pending');

-- name: StoppingTasks :many
-- Tasks whose Workflow is to be stopped, but for some.
SELECT id, namespace, workflow_name FROM task
WHERE stop_reason <> '' AND status IN ('Submitted', 'Running') AND cluster = @cluster::text AND id <> ALL(@passed_over::bigint[])
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
ORDER BY id
LIMIT @most;

-- name: InsertTasks :many
-- fair_at spreads the tasks of one build over time, so that a later and smaller build
-- need not wait for all.
WITH made AS (
    INSERT INTO task (kind, namespace, cluster, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, reason, message,
        priority, fair_at, available_at)
    SELECT @kind::text, n.namespace, COALESCE(n.inputs::jsonb->>'cluster', ''), n.owner_kind, n.owner_name, n.owner_uid, n.identity, n.workflow_name, n.inputs::jsonb, n.status, n.reason, n.message,
        n.priority, now() + n.fair_after, CASE WHEN n.delay > interval '0' THEN now() + n.delay ELSE '-infinity'::timestamptz END
    FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@owner_kinds::text[]) AS owner_kind, unnest(@owner_names::text[]) AS owner_name,
                 unnest(@owner_uids::text[]) AS owner_uid, unnest(@identities::text[]) AS identity, unnest(@workflow_names::text[]) AS workflow_name,
                 unnest(@inputs::text[]) AS inputs, unnest(@statuses::text[]) AS status, unnest(@reasons::text[]) AS reason,
                 unnest(@messages::text[]) AS message, unnest(@priorities::integer[]) AS priority,
                 unnest(@fair_afters::interval[]) AS fair_after, unnest(@delays::interval[]) AS delay) n
    RETURNING id, namespace, owner_name, owner_uid, identity, inputs, status, reason, message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message, COALESCE(NULLIF(@actor::text, ''), m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
    FROM made m WHERE m.status <> 'Held' OR m.reason <> 'StageBefore'
)
SELECT id, identity FROM made;
