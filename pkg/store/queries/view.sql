-- What `penstock server` shows. Nothing here writes or locks. An application is that of the
-- object, or its name.

-- name: ViewNamespaces :many
-- Namespaces that have, or had, a pipeline or a base image, in order: each is found from the one
-- before, by the index, so that the cost is that of the namespaces and not of the pipelines.
WITH RECURSIVE known AS (
    SELECT min(first.namespace) AS namespace
    FROM (SELECT min(namespace) AS namespace FROM cd_pipeline UNION ALL SELECT min(namespace) FROM ci_pipeline
          UNION ALL SELECT min(namespace) FROM base_image) first
    UNION ALL
    SELECT (SELECT min(following.namespace)
            FROM (SELECT min(cd.namespace) AS namespace FROM cd_pipeline cd WHERE cd.namespace > k.namespace
                  UNION ALL
                  SELECT min(ci.namespace) FROM ci_pipeline ci WHERE ci.namespace > k.namespace
                  UNION ALL
                  SELECT min(base.namespace) FROM base_image base WHERE base.namespace > k.namespace) following)
    FROM known k
    WHERE k.namespace IS NOT NULL
)
SELECT namespace::text AS namespace FROM known WHERE namespace IS NOT NULL LIMIT @most;

-- name: ViewApplications :many
SELECT p.application::text AS application, sum(p.ci)::bigint AS ci_pipelines, sum(p.cd)::bigint AS cd_pipelines,
       COALESCE(array_agg(DISTINCT p.environment ORDER BY p.environment) FILTER (WHERE p.environment <> ''), '{}')::text[] AS environments
FROM (
    SELECT COALESCE(NULLIF(cd.application, ''), cd.pipeline) AS application, 0 AS ci, 1 AS cd, cd.environment
    FROM cd_pipeline cd WHERE cd.namespace = @namespace AND cd.deleted_at IS NULL
    UNION ALL
    SELECT COALESCE(NULLIF(ci.application, ''), ci.pipeline), 1, 0, ''
    FROM ci_pipeline ci WHERE ci.namespace = @namespace AND ci.deleted_at IS NULL) p
WHERE p.application > @after::text
GROUP BY p.application
ORDER BY p.application
LIMIT @most;

-- name: ViewCiPipelines :many
-- The CI half of the trigger view: pipelines with the UID of their newest build.
SELECT p.pipeline, p.suspended, COALESCE(b.build_uid, '')::text AS build_uid
FROM ci_pipeline p
LEFT JOIN LATERAL (
    SELECT build_uid FROM ci_build WHERE namespace = p.namespace AND ci_pipeline = p.pipeline ORDER BY seq DESC LIMIT 1
) b ON true
WHERE p.namespace = @namespace AND COALESCE(NULLIF(p.application, ''), p.pipeline) = @application::text AND p.deleted_at IS NULL
ORDER BY p.pipeline
LIMIT @most;

-- name: ViewCdPipelines :many
-- The CD half of the trigger view: pipelines with their newest run, at the stage that it
-- has reached.
SELECT p.pipeline_uid, p.pipeline, p.environment, p.parent_kind, p.parent_name, p.policy, p.suspended, p.held,
       COALESCE(w.id, 0)::bigint AS run_id, COALESCE(a.build_name, '')::text AS build_name, COALESCE(a.image, '')::text AS image,
       COALESCE(a.digest, '')::text AS digest, COALESCE(w.outcome, '')::text AS outcome, w.created_at,
       COALESCE(l.stage, '')::text AS stage, COALESCE(l.status, '')::text AS status, COALESCE(l.reason, '')::text AS reason,
       COALESCE(l.message, '')::text AS message, COALESCE(l.workflow_name, '')::text AS workflow_name, COALESCE(l.cluster, '')::text AS cluster, l.submitted_at, l.changed_at
FROM cd_pipeline p
LEFT JOIN cd_workflow w ON w.id = p.last_run_id
LEFT JOIN ci_artifact a ON a.id = w.ci_artifact_id
LEFT JOIN LATERAL (
    SELECT r.stage, t.status, t.reason, t.message, t.workflow_name, t.cluster, t.submitted_at, t.changed_at
    FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
    WHERE r.cd_workflow_id = w.id AND t.reason NOT IN ('StageBefore', 'StageBeforeFailed')
    ORDER BY r.id DESC
    LIMIT 1
) l ON true
WHERE p.namespace = @namespace AND COALESCE(NULLIF(p.application, ''), p.pipeline) = @application::text AND p.deleted_at IS NULL
ORDER BY p.pipeline
LIMIT @most;

-- name: ViewWaitingRuns :many
-- Runs of some pipelines of which a stage waits: first what waits for somebody or something else
-- than an earlier run, the newest first. Tasks are chosen before anything else is read of them.
SELECT p.uid::text AS pipeline_uid, w.id AS run_id, a.build_name, a.image, a.digest, w.created_at,
       t.cluster, r.stage, t.status, t.reason, t.message, t.workflow_name, t.submitted_at, t.changed_at
FROM unnest(@pipeline_uids::text[]) AS p(uid)
CROSS JOIN LATERAL (
    SELECT * FROM task
    WHERE task.owner_uid = p.uid AND task.kind = 'cd' AND task.status IN ('Held', 'Pending') AND task.reason NOT IN ('StageBefore', 'StageBeforeFailed')
    ORDER BY task.reason = 'Turn', task.id DESC
    LIMIT @most_each
) t
JOIN cd_workflow_runner r ON r.task_id = t.id
JOIN cd_workflow w ON w.id = r.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id
ORDER BY t.reason = 'Turn', t.id DESC;

-- name: ViewBuilds :many
-- Builds of a namespace, the newest first.
SELECT b.build_uid FROM ci_build b
WHERE b.namespace = @namespace AND b.seq < @before::bigint
  AND (@phase::text = '' OR b.phase = @phase::text)
ORDER BY b.seq DESC
LIMIT @most;

-- name: ViewBuildsOfPipelines :many
SELECT b.build_uid FROM unnest(@pipelines::text[]) AS p(pipeline)
JOIN LATERAL (
    SELECT c.build_uid, c.seq FROM ci_build c
    WHERE c.namespace = @namespace AND c.ci_pipeline = p.pipeline AND c.seq < @before::bigint
      AND (@phase::text = '' OR c.phase = @phase::text)
    ORDER BY c.seq DESC
    LIMIT @most
) b ON true
ORDER BY b.seq DESC
LIMIT @most;

-- name: ViewCiPipelinesOfApplication :many
SELECT pipeline FROM ci_pipeline
WHERE namespace = @namespace AND COALESCE(NULLIF(application, ''), pipeline) = @application::text AND deleted_at IS NULL
ORDER BY pipeline
LIMIT @most;

-- name: ViewCdPipelinesOfApplication :many
SELECT pipeline FROM cd_pipeline
WHERE namespace = @namespace AND COALESCE(NULLIF(application, ''), pipeline) = @application::text AND deleted_at IS NULL
ORDER BY pipeline
LIMIT @most;

-- name: ViewBuildRows :many
-- Runs are counted as in the status of the build: one that has ended and was run again is not.
SELECT b.build_uid, b.build_name, b.ci_pipeline, COALESCE(p.application, '')::text AS application, b.revision, b.cause, b.phase,
       COALESCE(b.seq, 0)::bigint AS seq, b.created_at, b.planned_at, b.deleted_at,
       COALESCE(w.total, 0)::bigint AS total, COALESCE(w.active, 0)::bigint AS active, COALESCE(w.succeeded, 0)::bigint AS succeeded,
       COALESCE(w.failed, 0)::bigint AS failed, COALESCE(w.cancelled, 0)::bigint AS cancelled, COALESCE(w.superseded, 0)::bigint AS superseded
FROM ci_build b
LEFT JOIN LATERAL (
    SELECT COALESCE(NULLIF(i.application, ''), i.pipeline) AS application FROM ci_pipeline i
    WHERE i.namespace = b.namespace AND i.pipeline = b.ci_pipeline AND i.deleted_at IS NULL LIMIT 1
) p ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS total, count(*) FILTER (WHERE r.outcome IS NULL) AS active, count(*) FILTER (WHERE r.outcome = 'Succeeded') AS succeeded,
           count(*) FILTER (WHERE r.outcome IN ('Failed', 'Error')) AS failed,
           count(*) FILTER (WHERE r.outcome = 'Cancelled') AS cancelled, count(*) FILTER (WHERE r.outcome = 'Superseded') AS superseded
    FROM cd_workflow r
    WHERE r.build_uid = b.build_uid AND (r.outcome IS NULL OR NOT EXISTS (
        SELECT FROM cd_workflow n WHERE n.ci_artifact_id = r.ci_artifact_id AND n.pipeline_uid = r.pipeline_uid AND n.run > r.run))
) w ON true
WHERE b.build_uid = ANY(@build_uids::text[])
ORDER BY b.seq DESC;

-- name: ViewArtifacts :many
SELECT build_uid, image, digest FROM ci_artifact WHERE build_uid = ANY(@build_uids::text[]) ORDER BY build_uid, id;

-- name: ViewBuildUID :many
-- The newest build of that name.
SELECT build_uid FROM ci_build WHERE namespace = @namespace AND build_name = @build_name ORDER BY seq DESC LIMIT 1;

-- name: ViewDecisions :many
SELECT id, pipeline, pipeline_uid, image, digest, outcome, reason, message, waits_for, decided_at FROM trigger_decision
WHERE build_uid = @build_uid AND id > @after::bigint
ORDER BY id
LIMIT @most;

-- name: ViewRunIDsOfBuild :many
SELECT id FROM cd_workflow WHERE build_uid = @build_uid AND id > @after::bigint ORDER BY id LIMIT @most;

-- name: ViewPipelineUID :many
-- The pipeline of that name: the one that exists, or the last that did.
SELECT pipeline_uid FROM cd_pipeline WHERE namespace = @namespace AND pipeline = @pipeline
ORDER BY deleted_at IS NOT NULL, created_at DESC LIMIT 1;

-- name: ViewRunIDsOfPipeline :many
SELECT id FROM cd_workflow WHERE pipeline_uid = @pipeline_uid AND id < @before::bigint ORDER BY id DESC LIMIT @most;

-- name: ViewRuns :many
SELECT w.id, w.run, w.namespace, w.pipeline, a.build_name, a.image, a.digest, w.artifacts, w.cause, w.actor, COALESCE(w.outcome, '')::text AS outcome,
       w.created_at, w.finished_at
FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
WHERE w.id = ANY(@ids::bigint[])
ORDER BY w.id;

-- name: ViewStages :many
SELECT r.cd_workflow_id, r.stage, r.attempt, COALESCE(r.resumed_by, '')::text AS resumed_by, t.status, t.reason, t.message, t.workflow_name, t.workflow_uid,
       t.queued_at, t.submitted_at, t.started_at, t.finished_at, t.cluster
FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
WHERE r.cd_workflow_id = ANY(@run_ids::bigint[])
ORDER BY r.cd_workflow_id, r.id;

-- name: ViewPending :many
-- The queue in the order in which it is served, one lane after the other. A priority is
-- compared as its negative, since a higher one comes first.
SELECT id, kind, cluster, namespace, owner_name, inputs, status, reason, message, priority, attempt, failures, workflow_name, queued_at, available_at, fair_at
FROM task
WHERE status = 'Pending' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[]))
  AND (kind, cluster, -priority::bigint, fair_at, id) > (@after_kind::text, @after_cluster::text, -(@after_priority::bigint), @after_fair_at::timestamptz, @after_id::bigint)
ORDER BY kind, cluster, priority DESC, fair_at, id
LIMIT @most;

-- name: ViewTasks :many
-- Each state by its index: which one is asked for is not known when Postgres plans.
SELECT t.id, t.kind, t.cluster, t.namespace, t.owner_name, t.inputs, t.status, t.reason, t.message, t.priority, t.attempt, t.failures, t.workflow_name,
       t.queued_at, t.available_at, t.fair_at
FROM (
    (SELECT id, kind, cluster, namespace, owner_name, inputs, status, reason, message, priority, attempt, failures, workflow_name, queued_at, available_at, fair_at
     FROM task WHERE @status::text = 'Held' AND task.status = 'Held' AND task.reason <> 'StageBefore'
       AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) AND id > @after::bigint
     ORDER BY id LIMIT @most)
    UNION ALL
    (SELECT id, kind, cluster, namespace, owner_name, inputs, status, reason, message, priority, attempt, failures, workflow_name, queued_at, available_at, fair_at
     FROM task WHERE @status::text = 'Submitting' AND task.status = 'Submitting'
       AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) AND id > @after::bigint
     ORDER BY id LIMIT @most)
    UNION ALL
    (SELECT id, kind, cluster, namespace, owner_name, inputs, status, reason, message, priority, attempt, failures, workflow_name, queued_at, available_at, fair_at
     FROM task WHERE @status::text = 'Submitted' AND task.status = 'Submitted'
       AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) AND id > @after::bigint
     ORDER BY id LIMIT @most)
    UNION ALL
    (SELECT id, kind, cluster, namespace, owner_name, inputs, status, reason, message, priority, attempt, failures, workflow_name, queued_at, available_at, fair_at
     FROM task WHERE @status::text = 'Running' AND task.status = 'Running'
       AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) AND id > @after::bigint
     ORDER BY id LIMIT @most)
) t
ORDER BY t.id
LIMIT @most;

-- name: ViewQueueCounts :one
-- Each count goes by the partial index of its states.
SELECT (SELECT count(*) FROM task WHERE status = 'Held' AND reason <> 'StageBefore' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])))::bigint AS held,
       (SELECT count(*) FROM task WHERE status = 'Pending' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])))::bigint AS pending,
       (SELECT count(*) FROM task WHERE status = 'Submitting' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])))::bigint AS submitting,
       (SELECT count(*) FROM task WHERE status IN ('Submitted', 'Running') AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])))::bigint AS active,
       (SELECT min(queued_at) FROM task WHERE status = 'Pending' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])))::timestamptz AS oldest;

-- name: ViewEventsBefore :many
-- History, the newest first. At most so many rows are looked at, whatever the filter, so
-- that a filter that nothing passes costs no more than one that all pass.
SELECT e.* FROM (
    SELECT xid::text AS xid_text, id, at, kind, namespace, build_name, pipeline, run_id, task_id, stage, state, reason, message, actor, actor_reason
    FROM event
    WHERE (event.xid, event.id) < ((@before_xid::text)::xid8, @before_id::bigint)
    ORDER BY event.xid DESC, event.id DESC
    LIMIT @scan
) e
WHERE (@all_namespaces::boolean OR e.namespace = ANY(@namespaces::text[])) AND e.kind <> 'Cluster'
  AND (@pipeline::text = '' OR e.pipeline = @pipeline::text) AND (@kind::text = '' OR e.kind = @kind::text)
ORDER BY e.xid_text::xid8 DESC, e.id DESC
LIMIT @most;

-- name: ViewEventScanEnd :many
-- The last row that ViewEventsBefore looks at, where there are that many.
SELECT xid::text AS xid_text, id FROM event
WHERE (event.xid, event.id) < ((@before_xid::text)::xid8, @before_id::bigint)
ORDER BY event.xid DESC, event.id DESC
OFFSET @skip LIMIT 1;

-- name: ViewEventsOfBuildBefore :many
SELECT xid::text AS xid_text, id, at, kind, namespace, build_name, pipeline, run_id, task_id, stage, state, reason, message, actor, actor_reason
FROM event
WHERE event.namespace = @namespace AND event.build_name = @build_name AND (event.xid, event.id) < ((@before_xid::text)::xid8, @before_id::bigint)
  AND (@pipeline::text = '' OR event.pipeline = @pipeline::text) AND (@kind::text = '' OR event.kind = @kind::text)
ORDER BY event.xid DESC, event.id DESC
LIMIT @most;

-- name: ViewEventsOfBuildAfter :many
SELECT xid::text AS xid_text, id, at, kind, namespace, build_name, pipeline, run_id, task_id, stage, state, reason, message, actor, actor_reason
FROM event
WHERE event.namespace = @namespace AND event.build_name = @build_name AND (event.xid, event.id) > ((@after_xid::text)::xid8, @after_id::bigint)
  AND (@run_id::bigint = 0 OR event.run_id = @run_id::bigint)
ORDER BY event.xid, event.id
LIMIT @most;

-- name: ViewEventsAfter :many
-- Follows the events in an order in which none is missed, as EventsAfter does. What happens to
-- clusters is told to who may see those.
SELECT xid::text AS xid_text, id, at, kind, namespace, build_name, pipeline, run_id, task_id, stage, state, reason, message, actor, actor_reason
FROM event
WHERE (event.xid, event.id) > ((@after_xid::text)::xid8, @after_id::bigint)
  AND event.xid < pg_snapshot_xmin(pg_current_snapshot()) AND event.kind <> 'Cluster'
ORDER BY event.xid, event.id
LIMIT @most;
