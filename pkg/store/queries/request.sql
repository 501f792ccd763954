-- name: FindRequest :many
-- What became of a request with this name and spec; none where it was not carried out.
SELECT phase, run_id, message, at FROM run_request WHERE namespace = @namespace AND name = @name AND spec_hash = @spec_hash;

-- name: InsertRequest :many
-- Once for its name and spec, whoever is faster; none where that was another.
WITH recorded AS (
    INSERT INTO run_request (namespace, name, spec_hash, action, phase, run_id, message, actor, reason)
    VALUES (@namespace, @name, @spec_hash, @action, @phase, @run_id, @message, @actor, @reason)
    ON CONFLICT DO NOTHING
    RETURNING namespace, action, phase, run_id, message, actor, reason, at
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, state, reason, message, actor, actor_reason)
    SELECT 'Request', namespace, @build_name::text, @pipeline::text, @pipeline_uid::text, run_id, phase, action,
           message || CASE reason WHEN '' THEN '' ELSE ' (' || reason || ')' END, actor, reason
    FROM recorded
)
SELECT at FROM recorded;

-- name: RequestedBuild :many
-- The newest build of that name that was planned.
SELECT build_uid, build_name, ci_pipeline, revision, ref, cause, phase, created_at, COALESCE(seq, 0)::bigint AS seq
FROM ci_build WHERE namespace = @namespace AND build_name = @build_name AND planned_at IS NOT NULL
ORDER BY ci_build.seq DESC LIMIT 1;

-- name: RunsOf :many
-- Runs of a pipeline, the newest first: that with the number, or those of the build, or
-- all; with the stages that it has, and where each is.
SELECT w.id, w.ci_artifact_id, w.run, w.turn_id, w.artifacts, w.also, w.outcome, a.image, a.digest, b.build_uid, b.build_name,
       ARRAY(SELECT r.stage FROM cd_workflow_runner r WHERE r.cd_workflow_id = w.id ORDER BY r.id)::text[] AS stages,
       ARRAY(SELECT t.status FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = w.id ORDER BY r.id)::text[] AS statuses,
       ARRAY(SELECT t.reason FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = w.id ORDER BY r.id)::text[] AS reasons,
       (w.run = (SELECT max(n.run) FROM cd_workflow n WHERE n.ci_artifact_id = w.ci_artifact_id AND n.pipeline_uid = w.pipeline_uid))::boolean AS is_newest
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN ci_build b ON b.build_uid = w.build_uid
WHERE w.pipeline_uid = @pipeline_uid
  AND (@run_id::bigint = 0 OR w.id = @run_id::bigint)
  AND (@build_name::text = '' OR b.build_name = @build_name::text)
ORDER BY w.id DESC
LIMIT @most;

-- name: RunNumbers :many
-- The highest run of each artifact of a build in a pipeline.
SELECT w.ci_artifact_id, max(w.run)::integer AS run
FROM cd_workflow w
WHERE w.build_uid = @build_uid AND w.pipeline_uid = @pipeline_uid
GROUP BY w.ci_artifact_id;

-- name: ResumeStage :execrows
-- A person lets the stage go on; whatever else holds it is looked at anew. What waited for a
-- window or for the end of a freeze starts in spite of both.
WITH resumed AS (
    UPDATE task t SET inputs = t.inputs || jsonb_build_object('actor', @actor::text, 'actor_reason', @actor_reason::text)
        || CASE WHEN t.reason IN ('Window', 'Freeze') THEN '{"resumed": true}' ELSE '{}' END::jsonb
    FROM cd_workflow_runner r
    WHERE r.cd_workflow_id = @run_id AND r.stage = @stage AND t.id = r.task_id AND t.status = 'Held' AND t.reason <> 'StageBefore'
)
UPDATE cd_workflow_runner r SET resumed_by = @actor::text
FROM task t
WHERE r.cd_workflow_id = @run_id AND r.stage = @stage AND t.id = r.task_id AND t.status = 'Held' AND t.reason <> 'StageBefore';

-- name: HeldOf :many
-- Stages of a pipeline that are held by a reason.
SELECT r.cd_workflow_id, r.stage, t.reason, w.turn_id, (r.resumed_by IS NOT NULL)::boolean AS resumed
FROM task t
JOIN cd_workflow_runner r ON r.task_id = t.id
JOIN cd_workflow w ON w.id = r.cd_workflow_id
WHERE t.owner_uid = @pipeline_uid AND t.status = 'Held' AND t.reason = ANY(@reasons::text[])
ORDER BY r.id;

-- name: WaitingPipelines :many
-- Pipelines of which something waits, what holds it (each reason once, the empty one for a
-- slot), the stages that wait for a person or for their template, in which clusters and for how long the
-- first of these does, whether a build still has a turn that it must yield, whether something was
-- never claimed, by which parents it was triggered, and with which priorities. The turn is
-- looked up for each: EXISTS would have Postgres read all runs instead.
SELECT namespace, owner_name AS pipeline, owner_uid AS pipeline_uid, array_agg(DISTINCT reason)::text[] AS reasons,
       COALESCE(array_agg(DISTINCT inputs->>'stage') FILTER (WHERE reason = 'Person'), '{}')::text[] AS person_stages,
       COALESCE(array_agg(DISTINCT inputs->>'stage') FILTER (WHERE reason = 'Template'), '{}')::text[] AS template_stages,
       COALESCE(array_agg(DISTINCT cluster) FILTER (WHERE reason = 'Template'), '{}')::text[] AS template_clusters,
       COALESCE(EXTRACT(EPOCH FROM now() - min(changed_at) FILTER (WHERE reason = 'Template')), 0)::float8 AS template_seconds,
       COALESCE(bool_or((SELECT n.state FROM cd_workflow w JOIN turn n ON n.id = w.turn_id WHERE w.id = (inputs->>'run')::bigint) = 'Active')
           FILTER (WHERE status = 'Held' AND reason IN ('Template', 'Window', 'Freeze', 'Hold')), false)::boolean AS unyielded,
       bool_or(status = 'Pending' AND attempt = 0)::boolean AS unclaimed,
       COALESCE(array_agg(DISTINCT inputs->>'parent') FILTER (WHERE inputs->>'parent' <> ''), '{}')::text[] AS parents,
       min(priority)::integer AS lowest, max(priority)::integer AS highest
FROM task
WHERE kind = 'cd' AND status IN ('Held', 'Pending') AND reason <> 'StageBefore'
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
GROUP BY namespace, owner_name, owner_uid;

-- name: DeployedBuild :many
-- The build that is deployed by a pipeline, the last that succeeded; none where nothing is.
SELECT b.build_uid, b.build_name
FROM deployed d JOIN cd_workflow w ON w.id = d.run_id JOIN ci_build b ON b.build_uid = w.build_uid
WHERE d.pipeline_uid = @pipeline_uid
ORDER BY d.at DESC
LIMIT 1;

-- name: BuildBefore :many
-- The newest build before the given one that the pipeline has deployed, and of which a run
-- has succeeded to its end: one that POST has found bad is nothing to go back to.
SELECT b.build_uid, b.build_name, b.ci_pipeline, b.revision, b.ref, b.cause, b.phase, b.created_at, COALESCE(b.seq, 0)::bigint AS seq
FROM ci_build b
WHERE b.build_uid IN (
    SELECT w.build_uid FROM cd_workflow w
    JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id AND r.stage = 'DEPLOY'
    JOIN task t ON t.id = r.task_id AND t.status = 'Succeeded'
    WHERE w.pipeline_uid = @pipeline_uid AND EXISTS (
        SELECT FROM cd_workflow s
        WHERE s.ci_artifact_id = w.ci_artifact_id AND s.pipeline_uid = w.pipeline_uid AND s.outcome = 'Succeeded'))
  AND (b.created_at, b.seq) < (SELECT n.created_at, n.seq FROM ci_build n WHERE n.build_uid = @build_uid)
ORDER BY b.created_at DESC, b.seq DESC
LIMIT 1;

-- name: DeployedOf :many
-- The artifacts of a build that the pipeline has deployed, and of which a run has succeeded
-- to its end.
SELECT a.image, a.digest
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id AND r.stage = 'DEPLOY'
JOIN task t ON t.id = r.task_id AND t.status = 'Succeeded'
WHERE w.pipeline_uid = @pipeline_uid AND w.build_uid = @build_uid AND EXISTS (
    SELECT FROM cd_workflow s
    WHERE s.ci_artifact_id = w.ci_artifact_id AND s.pipeline_uid = w.pipeline_uid AND s.outcome = 'Succeeded')
GROUP BY a.id, a.image, a.digest
ORDER BY a.id;
