-- Why something is as it is, for `penstock server`. Nothing here writes or locks.

-- name: ExplainWorkers :many
-- Processes that claim, the last that was heard of first, and what each said of itself.
SELECT state, beat_at, now()::timestamptz AS asked_at FROM worker ORDER BY beat_at DESC LIMIT @most;

-- name: ExplainPipeline :many
-- The pipeline of that name as the mirror knows it, or the last that had the name; and whether
-- its parent exists.
SELECT p.pipeline_uid, p.pipeline, p.parent_kind, p.parent_name, p.suspended, p.held, p.policy, p.deleted_at,
       (EXISTS (SELECT FROM ci_pipeline c WHERE p.parent_kind = 'CiPipeline' AND c.namespace = p.namespace AND c.pipeline = p.parent_name AND c.deleted_at IS NULL)
        OR EXISTS (SELECT FROM cd_pipeline c WHERE p.parent_kind = 'CdPipeline' AND c.namespace = p.namespace AND c.pipeline = p.parent_name AND c.deleted_at IS NULL))::boolean AS has_parent
FROM cd_pipeline p
WHERE p.namespace = @namespace AND p.pipeline = @pipeline
ORDER BY p.deleted_at IS NOT NULL, p.created_at DESC
LIMIT 1;

-- name: ExplainNewestDecisions :many
-- The last decisions on a pipeline, the newest first: those of the last build are together.
SELECT id, build_uid, build_name, pipeline, pipeline_uid, image, digest, outcome, reason, message, waits_for, decided_at FROM trigger_decision
WHERE pipeline_uid = @pipeline_uid
ORDER BY id DESC
LIMIT @most;

-- name: ExplainDecisionOfRun :many
-- The decision that a run came of.
SELECT d.id, d.build_uid, d.build_name, d.pipeline, d.pipeline_uid, d.image, d.digest, d.outcome, d.reason, d.message, d.waits_for, d.decided_at
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN trigger_decision d ON d.build_uid = a.build_uid AND d.image = a.image AND d.digest = a.digest AND d.pipeline_uid = w.pipeline_uid
WHERE w.id = @run_id AND w.namespace = @namespace;

-- name: ExplainRuns :many
-- The newest run of each pair of an artifact of the build and a pipeline, by its place.
SELECT n.place::integer AS place, w.id
FROM (SELECT unnest(@places::integer[]) AS place, unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest, unnest(@pipeline_uids::text[]) AS pipeline_uid) n
JOIN ci_artifact a ON a.build_uid = @build_uid AND a.image = n.image AND a.digest = n.digest
JOIN LATERAL (SELECT id FROM cd_workflow WHERE ci_artifact_id = a.id AND cd_workflow.pipeline_uid = n.pipeline_uid ORDER BY run DESC LIMIT 1) w ON true;

-- name: ExplainStages :many
-- What the furthest stage of each run waits for: its task, and for its turn the build that has
-- it, how many builds wait before, and the run of that build which goes on.
SELECT w.id AS run_id, l.id AS task_id, l.status, l.reason, l.kind, l.cluster, l.delayed_by, l.failures, GREATEST(l.available_at, 'epoch')::timestamptz AS available_at,
       l.changed_at, l.stop_reason, l.before,
       COALESCE(h.build_name, '')::text AS turn_of, COALESCE(h.run_id, 0)::bigint AS turn_run, COALESCE(h.before, 0)::bigint AS turns_before
FROM cd_workflow w
JOIN LATERAL (
    SELECT t.id, t.status, t.reason, t.kind, t.cluster, t.delayed_by, t.failures, t.available_at, t.changed_at, t.stop_reason, COALESCE(t.inputs->>'before', '')::text AS before
    FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
    WHERE r.cd_workflow_id = w.id AND t.reason NOT IN ('StageBefore', 'StageBeforeFailed')
    ORDER BY r.id DESC
    LIMIT 1
) l ON true
LEFT JOIN LATERAL (
    SELECT b.build_name, (SELECT max(o.id) FROM cd_workflow o WHERE o.turn_id = u.id AND o.outcome IS NULL) AS run_id,
           (SELECT count(*) FROM turn q JOIN turn own ON own.id = w.turn_id
            WHERE q.pipeline_uid = w.pipeline_uid AND q.state = 'Waiting' AND (q.built_at, q.build_seq) < (own.built_at, own.build_seq)) AS before
    FROM turn u JOIN ci_build b ON b.build_uid = u.build_uid
    WHERE l.status = 'Held' AND l.reason = 'Turn' AND u.pipeline_uid = w.pipeline_uid AND u.state = 'Active'
    ORDER BY u.id
    LIMIT 1
) h ON true
WHERE w.id = ANY(@run_ids::bigint[]);

-- name: ExplainPlaces :many
-- Which of the tasks are among the first of their lane's queue, and where.
SELECT p.id, p.place::bigint AS place
FROM (SELECT h.id, row_number() OVER (ORDER BY h.priority DESC, h.fair_at, h.id) AS place
      FROM (SELECT q.id, q.priority, q.fair_at FROM task q
            WHERE q.status = 'Pending' AND q.delayed_by = '' AND q.kind = @kind AND q.cluster = @cluster AND q.available_at <= now()
            ORDER BY q.priority DESC, q.fair_at, q.id
            LIMIT @look) h) p
WHERE p.id = ANY(@ids::bigint[]);

-- name: ExplainClaimed :one
-- How many tasks of a lane are claimed: these go before the queue.
SELECT count(*)::bigint AS claimed FROM task WHERE status = 'Submitting' AND kind = @kind AND cluster = @cluster;

-- name: ExplainBuildTask :many
-- The task of a build that runs here, and where it waits for its turn the build of the same
-- pipeline and ref that has it.
-- It is found first: with an order and a limit Postgres would look for it from the last task on.
WITH own AS MATERIALIZED (
    SELECT * FROM task WHERE task.kind = 'ci' AND (task.inputs->>'build_uid') = @build_uid::text
)
SELECT t.id AS task_id, t.kind, t.cluster, t.status, t.reason, t.message, t.delayed_by, t.failures, GREATEST(t.available_at, 'epoch')::timestamptz AS available_at,
       t.changed_at, t.stop_reason, t.workflow_name, t.submitted_at, t.queued_at, COALESCE(h.build_name, '')::text AS turn_of
FROM own t
LEFT JOIN LATERAL (
    SELECT o.inputs->>'build' AS build_name FROM task o
    WHERE t.status = 'Held' AND t.reason = 'Turn' AND o.kind = 'ci' AND o.owner_uid = t.owner_uid AND o.status IN ('Pending', 'Submitting', 'Submitted', 'Running')
      AND COALESCE(o.inputs->>'ref', '') = COALESCE(t.inputs->>'ref', '')
    ORDER BY o.id
    LIMIT 1
) h ON true
ORDER BY t.id DESC
LIMIT 1;

-- name: ExplainCiPipeline :many
-- Whether the CiPipeline of that name is suspended.
SELECT suspended FROM ci_pipeline WHERE namespace = @namespace AND pipeline = @pipeline AND deleted_at IS NULL LIMIT 1;

-- name: ExplainLastRun :one
-- The highest number that a run has had: who asks for a lower one may have been told of it.
SELECT COALESCE(max(id), 0)::bigint AS last FROM cd_workflow;

-- name: ExplainParents :many
-- What pipelines hang below, and the newest build that has had its turn in each.
SELECT p.pipeline_uid, p.parent_kind, p.parent_name, COALESCE(b.build_name, '')::text AS newest
FROM cd_pipeline p LEFT JOIN ci_build b ON b.seq = p.newest_seq
WHERE p.pipeline_uid = ANY(@pipeline_uids::text[]);
