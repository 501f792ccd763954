-- name: InsertBuild :execrows
INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase)
VALUES (@build_uid, @namespace, @build_name, @ci_pipeline, @revision, @cause, @phase)
ON CONFLICT DO NOTHING;

-- name: BuildIsPlanned :one
SELECT EXISTS (SELECT FROM ci_build WHERE build_uid = @build_uid);

-- name: PlannedBuilds :many
SELECT build_uid FROM ci_build WHERE build_uid = ANY(@build_uids::text[]);

-- name: InsertArtifacts :exec
INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
SELECT b.build_uid, b.namespace, b.build_name, b.ci_pipeline, a.image, a.digest
FROM (SELECT unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest) a
JOIN ci_build b ON b.build_uid = @build_uid
ON CONFLICT DO NOTHING;

-- name: InsertRuns :exec
-- One run and its first stage for each element. fair_at spreads the runs of one
-- build over time, so that a later and smaller build need not wait for all.
WITH wanted AS (
    SELECT unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest,
           unnest(@pipelines::text[]) AS pipeline, unnest(@pipeline_uids::text[]) AS pipeline_uid,
           unnest(@stages::text[]) AS stage, unnest(@workflow_names::text[]) AS workflow_name,
           unnest(@priorities::integer[]) AS priority, unnest(@ordinals::integer[]) AS ordinal
), run AS (
    INSERT INTO cd_workflow (ci_artifact_id, namespace, pipeline, pipeline_uid, cause)
    SELECT a.id, a.namespace, w.pipeline, w.pipeline_uid, @cause::text
    FROM wanted w
    JOIN ci_artifact a ON a.build_uid = @build_uid::text AND a.image = w.image AND a.digest = w.digest
    ORDER BY w.ordinal
    ON CONFLICT DO NOTHING
    RETURNING id, ci_artifact_id, pipeline_uid, namespace
)
INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, workflow_name, priority, fair_at)
SELECT r.id, r.namespace, w.stage, w.workflow_name, w.priority, now() + w.ordinal * @quantum::interval
FROM run r
JOIN ci_artifact a ON a.id = r.ci_artifact_id
JOIN wanted w ON w.pipeline_uid = r.pipeline_uid AND w.image = a.image AND w.digest = a.digest
ORDER BY r.id;

-- name: InsertDecisions :exec
-- A decision is written anew where a parent's end has settled what was waiting, and
-- left alone where it tells of a run: Triggered, or one that waits for a person. A
-- pipeline with a run may have been hung below another parent meanwhile.
INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message)
SELECT b.build_uid, d.image, d.digest, b.namespace, b.build_name, d.pipeline, d.pipeline_uid, d.outcome, d.reason, d.message
FROM (SELECT unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest,
             unnest(@pipelines::text[]) AS pipeline, unnest(@pipeline_uids::text[]) AS pipeline_uid,
             unnest(@outcomes::text[]) AS outcome, unnest(@reasons::text[]) AS reason,
             unnest(@messages::text[]) AS message) d
JOIN ci_build b ON b.build_uid = @build_uid
ON CONFLICT (build_uid, image, digest, pipeline_uid) DO UPDATE
SET outcome = excluded.outcome, reason = excluded.reason, message = excluded.message, decided_at = now()
WHERE trigger_decision.outcome <> 'Triggered' AND trigger_decision.reason <> 'ManualStage'
  AND (trigger_decision.outcome, trigger_decision.reason, trigger_decision.message)
      IS DISTINCT FROM (excluded.outcome, excluded.reason, excluded.message);
