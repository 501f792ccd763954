-- name: Unfollowed :many
-- Stages that ended and whose consequence is not committed yet, but for some. Where a stage
-- was reopened, those behind it may have begun (ahead), another one may be under way, and
-- worst is how another one ended that did not succeed. The tasks are found first: Postgres
-- does not know that almost every ended task is settled, and would read all stages instead.
WITH ended AS MATERIALIZED (
    SELECT task.id, task.status, task.reason, task.message, task.priority, task.stop_reason, task.submitted_at, task.inputs, task.cluster
    FROM task
    WHERE task.settled_at IS NULL AND task.kind = 'cd'
      AND task.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')
      AND (cardinality(@namespaces::text[]) = 0 OR task.namespace = ANY(@namespaces::text[])) AND task.id <> ALL(@passed_over::bigint[])
    ORDER BY task.id
    LIMIT @most
)
SELECT t.id, r.id AS stage_id, r.cd_workflow_id, r.stage, r.attempt, t.status, t.reason, t.message, t.priority, t.stop_reason, (t.submitted_at IS NOT NULL)::boolean AS had_workflow,
       COALESCE(t.inputs->>'parent', '')::text AS parent, COALESCE(t.inputs->>'actor', '')::text AS actor, COALESCE(t.inputs->>'actor_reason', '')::text AS actor_reason, t.cluster,
       w.turn_id, w.namespace, w.pipeline, w.pipeline_uid, w.run, w.artifacts, w.also, w.descends, w.again, w.actor AS run_actor, w.whole, w.overtaken,
       o.reopened, o.ahead, o.under_way, o.worst, o.later,
       a.image, a.digest,
       b.build_uid, b.build_name, b.ci_pipeline, b.revision, b.ref, b.cause, b.phase
FROM ended t
JOIN cd_workflow_runner r ON r.task_id = t.id
JOIN cd_workflow w ON w.id = r.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN ci_build b ON b.build_uid = w.build_uid
CROSS JOIN LATERAL (
    SELECT sum(st.reopened)::bigint AS reopened,
           (bool_or(st.place > st.own AND NOT st.unbegun) IS TRUE)::boolean AS ahead,
           (bool_or(st.place <> st.own AND NOT st.unbegun AND st.status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running')) IS TRUE)::boolean AS under_way,
           COALESCE((array_agg(st.status ORDER BY st.place) FILTER (
               WHERE st.place <> st.own AND st.status IN ('Failed', 'Error', 'Cancelled', 'Superseded') AND st.reason <> 'StageBeforeFailed'))[1], '')::text AS worst,
           COALESCE(array_agg(st.stage ORDER BY st.place) FILTER (WHERE st.unbegun), '{}')::text[] AS later
    FROM (SELECT n.stage, nt.status, nt.reason, nt.reopened, (nt.status = 'Held' AND nt.reason = 'StageBefore') AS unbegun,
                 array_position(ARRAY['PRE', 'DEPLOY', 'POST'], n.stage) AS place, array_position(ARRAY['PRE', 'DEPLOY', 'POST'], r.stage) AS own
          FROM cd_workflow_runner n JOIN task nt ON nt.id = n.task_id WHERE n.cd_workflow_id = w.id) st
) o
ORDER BY t.id;

-- name: RunsOfBuild :many
-- Which artifacts of a build have, or are part of, a run in which pipelines.
SELECT pipeline_uid, image, digest
FROM trigger_decision
WHERE build_uid = @build_uid AND pipeline_uid = ANY(@pipeline_uids::text[]) AND outcome = 'Triggered';

-- name: RunsSince :many
-- Which artifacts of a build have a run in which pipelines that is newer than a run above.
SELECT w.pipeline_uid, a.image, a.digest
FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
WHERE w.build_uid = @build_uid AND w.pipeline_uid = ANY(@pipeline_uids::text[]) AND w.id > @run_id;

-- name: BuildPlaces :many
SELECT build_uid, created_at, COALESCE(seq, 0)::bigint AS seq FROM ci_build WHERE build_uid = ANY(@build_uids::text[]);

-- name: RunArtifacts :many
-- What runs are given that are given all artifacts that came together: those that came
-- later, from another run above, are another run's.
SELECT w.id AS run_id, d.image, d.digest
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN trigger_decision d ON d.build_uid = w.build_uid AND d.pipeline_uid = w.pipeline_uid AND d.outcome = 'Triggered'
    AND ((d.image = a.image AND d.digest = a.digest) OR d.image = ANY(w.also))
WHERE w.id = ANY(@run_ids::bigint[]) AND w.artifacts = 'All'
ORDER BY w.id, d.id;

-- name: SettleTasks :execrows
-- Locks in the order of the ids, as every batch does. A task that somebody wants to end
-- the run with since it was read, or whose run was reopened, is not settled: what follows
-- it is another.
WITH read AS (
    SELECT unnest(@ids::bigint[]) AS id, unnest(@stopped::boolean[]) AS stopped, unnest(@run_ids::bigint[]) AS run_id, unnest(@reopened::bigint[]) AS reopened
), locked AS (
    SELECT t.id, read.stopped, read.run_id, read.reopened FROM task t JOIN read ON read.id = t.id ORDER BY t.id FOR NO KEY UPDATE OF t
)
UPDATE task t
SET settled_at = now()
FROM locked
WHERE t.id = locked.id AND t.settled_at IS NULL AND (t.stop_reason <> '') = locked.stopped
  AND t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')
  AND locked.reopened = (SELECT sum(n.reopened) FROM cd_workflow_runner r JOIN task n ON n.id = r.task_id WHERE r.cd_workflow_id = locked.run_id);

-- name: ReleaseStages :exec
-- The stage before has succeeded: the next one waits for a slot, or for what holds it.
WITH released AS (
    SELECT unnest(@run_ids::bigint[]) AS run_id, unnest(@stages::text[]) AS stage, unnest(@statuses::text[]) AS status,
           unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message
), locked AS (
    SELECT t.id, n.status, n.reason, n.message
    FROM released n
    JOIN cd_workflow_runner r ON r.cd_workflow_id = n.run_id AND r.stage = n.stage
    JOIN task t ON t.id = r.task_id
    WHERE t.status = 'Held'
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t
    SET status = locked.status, reason = locked.reason, message = locked.message, fair_at = now(), queued_at = now(), changed_at = now()
    FROM locked
    WHERE t.id = locked.id AND t.status = 'Held'
      AND ((t.status, t.reason) IS DISTINCT FROM (locked.status, locked.reason) OR (t.reason IN ('Window', 'Freeze') AND t.message <> locked.message))
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
       m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message, COALESCE(NULLIF(@actor::text, ''), m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM moved m;

-- name: CancelLaterStages :exec
-- A stage did not succeed: those behind it never start. Nothing follows their end.
WITH locked AS (
    SELECT t.id FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id
    WHERE r.cd_workflow_id = ANY(@run_ids::bigint[]) AND t.status = 'Held' AND t.reason = 'StageBefore'
    ORDER BY t.id FOR NO KEY UPDATE OF t
), moved AS (
    UPDATE task t
    SET status = 'Cancelled', reason = 'StageBeforeFailed', message = 'the stage before did not succeed',
        finished_at = now(), settled_at = now(), changed_at = now()
    FROM locked WHERE t.id = locked.id AND t.status = 'Held'
    RETURNING t.id, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor, actor_reason)
SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
       m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message,
       COALESCE(m.inputs->>'actor', ''), COALESCE(m.inputs->>'actor_reason', '')
FROM moved m;

-- name: RetryStages :exec
-- Points stages to the tasks of their next attempts.
UPDATE cd_workflow_runner r SET task_id = n.task_id, attempt = r.attempt + 1
FROM (SELECT unnest(@stage_ids::bigint[]) AS id, unnest(@task_ids::bigint[]) AS task_id) n
WHERE r.id = n.id;

-- name: FinishRuns :exec
-- The event tells who has stopped the run, or asked for it, or let a stage of it go on.
WITH finished AS (
    UPDATE cd_workflow w
    SET outcome = f.outcome, finished_at = now()
    FROM (SELECT unnest(@cd_workflow_ids::bigint[]) AS id, unnest(@outcomes::text[]) AS outcome) f
    WHERE w.id = f.id AND w.outcome IS NULL
    RETURNING w.id, w.namespace, w.build_uid, w.pipeline, w.pipeline_uid, w.outcome, w.actor
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, state, actor, actor_reason)
SELECT 'Run', f.namespace, b.build_name, f.pipeline, f.pipeline_uid, f.id, f.outcome,
       COALESCE(asked.inputs->>'actor', f.actor), COALESCE(asked.inputs->>'actor_reason', '')
FROM finished f JOIN ci_build b ON b.build_uid = f.build_uid
LEFT JOIN LATERAL (
    SELECT t.inputs FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
    WHERE r.cd_workflow_id = f.id AND t.inputs ? 'actor'
    ORDER BY t.stop_reason <> '' DESC, t.inputs->>'actor' = f.actor DESC, r.id DESC LIMIT 1
) asked ON true;

-- name: SetDeployed :exec
-- The DEPLOY stages of these runs have succeeded.
INSERT INTO deployed (pipeline_uid, repository, run_id, image, digest, build_name)
SELECT DISTINCT ON (n.pipeline_uid, n.repository) n.pipeline_uid, n.repository, n.run_id, n.image, n.digest, n.build_name
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@repositories::text[]) AS repository, unnest(@run_ids::bigint[]) AS run_id,
             unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest, unnest(@build_names::text[]) AS build_name) n
ORDER BY n.pipeline_uid, n.repository, n.run_id DESC
ON CONFLICT (pipeline_uid, repository) DO UPDATE
SET run_id = excluded.run_id, image = excluded.image, digest = excluded.digest, build_name = excluded.build_name, at = now();

-- name: SettleWaiting :exec
-- Runs have ended: what waited for them and was not decided anew hangs below them no longer,
-- since its pipeline, or one between the two, was deleted or hung below another parent.
WITH ended AS (
    SELECT unnest(@build_uids::text[]) AS build_uid, unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@pipelines::text[]) AS pipeline,
           unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest
), waiting AS (
    SELECT d.id, e.pipeline, EXISTS (SELECT FROM cd_pipeline p WHERE p.pipeline_uid = d.pipeline_uid AND p.deleted_at IS NOT NULL) AS is_gone
    FROM trigger_decision d
    JOIN ended e ON e.build_uid = d.build_uid AND e.image = d.image AND e.digest = d.digest AND e.pipeline_uid = d.waits_for
    WHERE d.outcome = 'Waiting'
    ORDER BY d.id FOR NO KEY UPDATE OF d
), settled AS (
    UPDATE trigger_decision d
    SET outcome = 'Skipped', waits_for = '', decided_at = now(),
        reason = CASE WHEN w.is_gone THEN 'PipelineDeleted' ELSE 'ParentChanged' END,
        message = CASE WHEN w.is_gone THEN 'the pipeline was deleted while it waited for CdPipeline ' || w.pipeline
                       ELSE 'it hangs below CdPipeline ' || w.pipeline || ' no longer: its new parent triggers it' END
    FROM waiting w
    WHERE d.id = w.id AND d.outcome = 'Waiting'
    RETURNING d.namespace, d.build_name, d.pipeline, d.pipeline_uid, d.outcome, d.reason, d.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, state, reason, message)
SELECT 'Decision', namespace, build_name, pipeline, pipeline_uid, outcome, reason, message FROM settled;
