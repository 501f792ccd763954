-- name: Unfollowed :many
-- Ended stages whose consequence is not committed yet, but for some.
SELECT r.id, r.cd_workflow_id, r.stage, r.status, r.priority,
       w.namespace, w.pipeline, w.pipeline_uid, w.run,
       a.image, a.digest,
       b.build_uid, b.build_name, b.ci_pipeline, b.revision, b.cause, b.phase
FROM cd_workflow_runner r
JOIN cd_workflow w ON w.id = r.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN ci_build b ON b.build_uid = a.build_uid
WHERE r.followed_at IS NULL
  AND r.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')
  AND (cardinality(@namespaces::text[]) = 0 OR r.namespace = ANY(@namespaces::text[])) AND r.id <> ALL(@passed_over::bigint[])
ORDER BY r.id
LIMIT @most;

-- name: MarkFollowed :execrows
-- Locks in the order of the ids, as every batch does.
WITH locked AS (
    SELECT id FROM cd_workflow_runner WHERE id = ANY(@ids::bigint[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE cd_workflow_runner r
SET followed_at = now()
FROM locked
WHERE r.id = locked.id AND r.followed_at IS NULL
  AND r.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded');

-- name: InsertStages :exec
INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, workflow_name, priority, fair_at)
SELECT unnest(@cd_workflow_ids::bigint[]), unnest(@namespaces::text[]), unnest(@stages::text[]), unnest(@workflow_names::text[]),
       unnest(@priorities::integer[]), now()
ON CONFLICT DO NOTHING;

-- name: FinishRuns :exec
UPDATE cd_workflow w
SET outcome = f.outcome, finished_at = now()
FROM (SELECT unnest(@cd_workflow_ids::bigint[]) AS id, unnest(@outcomes::text[]) AS outcome) f
WHERE w.id = f.id AND w.outcome IS NULL;

-- name: HoldRuns :exec
-- A run that waits for a person between two stages says so in its decision.
UPDATE trigger_decision d
SET outcome = 'Waiting', reason = @reason::text, message = h.message, decided_at = now()
FROM (SELECT unnest(@cd_workflow_ids::bigint[]) AS cd_workflow_id, unnest(@messages::text[]) AS message) h
JOIN cd_workflow w ON w.id = h.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id
WHERE d.build_uid = a.build_uid AND d.image = a.image AND d.digest = a.digest
  AND d.pipeline_uid = w.pipeline_uid AND d.outcome = 'Triggered';
