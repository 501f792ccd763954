-- name: PlanBuild :one
-- Makes planning happen once: a second plan of the same build finds it planned, and
-- writes nothing. A plan that is committed in chunks goes before other builds of its
-- CiPipeline, as if it were one transaction, unless it has not moved for a while.
INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, ref, cause, phase, created_at, planned_at)
SELECT @build_uid::text, @namespace::text, @build_name::text, @ci_pipeline::text, @revision::text, @ref::text, @cause::text, @phase::text, @created_at::timestamptz, now()
WHERE NOT EXISTS (
    SELECT FROM plan p
    WHERE p.build_uid = @build_uid OR (p.namespace = @namespace AND p.ci_pipeline = @ci_pipeline AND p.moved_at > now() - interval '1 minute'))
ON CONFLICT (build_uid) DO UPDATE
SET planned_at = now(), phase = excluded.phase, revision = excluded.revision, ref = excluded.ref, cause = excluded.cause, created_at = excluded.created_at
WHERE ci_build.planned_at IS NULL
RETURNING COALESCE(seq, 0)::bigint AS seq, EXISTS (SELECT FROM trigger_decision d WHERE d.build_uid = ci_build.build_uid)::boolean AS decided;

-- name: BuildIsPlanned :one
-- Also where the plan is under way: what is left of it is committed without the build.
SELECT (EXISTS (SELECT FROM ci_build b WHERE b.build_uid = @build_uid AND b.planned_at IS NOT NULL)
     OR EXISTS (SELECT FROM plan p WHERE p.build_uid = @build_uid))::boolean AS planned;

-- name: PlannedBuilds :many
SELECT build_uid FROM ci_build WHERE build_uid = ANY(@build_uids::text[]) AND planned_at IS NOT NULL;

-- name: InsertArtifacts :exec
INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
SELECT b.build_uid, b.namespace, b.build_name, b.ci_pipeline, a.image, a.digest
FROM (SELECT unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest) a
JOIN ci_build b ON b.build_uid = @build_uid
ON CONFLICT DO NOTHING;

-- name: BuildArtifacts :many
SELECT id, image, digest FROM ci_artifact WHERE build_uid = @build_uid ORDER BY id;

-- name: InsertRuns :many
INSERT INTO cd_workflow (ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, run, cause, artifacts, also, descends, again, actor)
SELECT n.ci_artifact_id, @build_uid::text, n.turn_id, @namespace::text, n.pipeline, n.pipeline_uid, n.run, @cause::text, n.artifacts,
       ARRAY(SELECT jsonb_array_elements_text(n.also::jsonb)), @descends::boolean, @again::boolean, @actor::text
FROM (SELECT unnest(@ci_artifact_ids::bigint[]) AS ci_artifact_id, unnest(@turn_ids::bigint[]) AS turn_id, unnest(@pipelines::text[]) AS pipeline,
             unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@runs::integer[]) AS run, unnest(@artifacts::text[]) AS artifacts,
             unnest(@also::text[]) AS also) n
ON CONFLICT DO NOTHING
RETURNING id, ci_artifact_id, pipeline_uid;

-- name: InsertStages :exec
INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
SELECT unnest(@cd_workflow_ids::bigint[]), @namespace::text, unnest(@stages::text[]), unnest(@task_ids::bigint[]);

-- name: PointToRuns :exec
-- The newest run of each pipeline, so that nobody looks for it.
UPDATE cd_pipeline p SET last_run_id = GREATEST(p.last_run_id, n.run_id)
FROM (SELECT pipeline_uid, max(run_id) AS run_id
      FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@run_ids::bigint[]) AS run_id) r GROUP BY 1) n
WHERE p.pipeline_uid = n.pipeline_uid;

-- name: InsertDecisions :exec
-- A decision is written anew where a parent's end, or a person, has settled what was
-- waiting or skipped, and left alone where it tells of a run: a pipeline with a run may
-- have been hung below another parent meanwhile.
WITH decided AS (
    INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message, waits_for)
    SELECT b.build_uid, d.image, d.digest, b.namespace, b.build_name, d.pipeline, d.pipeline_uid, d.outcome, d.reason, d.message, d.waits_for
    FROM (SELECT unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest,
                 unnest(@pipelines::text[]) AS pipeline, unnest(@pipeline_uids::text[]) AS pipeline_uid,
                 unnest(@outcomes::text[]) AS outcome, unnest(@reasons::text[]) AS reason,
                 unnest(@messages::text[]) AS message, unnest(@waits_fors::text[]) AS waits_for) d
    JOIN ci_build b ON b.build_uid = @build_uid
    ON CONFLICT (build_uid, image, digest, pipeline_uid) DO UPDATE
    SET outcome = excluded.outcome, reason = excluded.reason, message = excluded.message, waits_for = excluded.waits_for, decided_at = now()
    WHERE trigger_decision.outcome <> 'Triggered'
      AND (trigger_decision.outcome, trigger_decision.reason, trigger_decision.message, trigger_decision.waits_for)
          IS DISTINCT FROM (excluded.outcome, excluded.reason, excluded.message, excluded.waits_for)
    RETURNING namespace, build_name, pipeline, pipeline_uid, outcome, reason, message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, state, reason, message, actor, actor_reason)
SELECT 'Decision', namespace, build_name, pipeline, pipeline_uid, outcome, reason, message, @actor::text, @actor_reason::text FROM decided;
