-- Objects that exist are rows too. Nothing is written where nothing changed. Every batch
-- locks its rows in the order of their UIDs.

-- name: MirrorBuilds :exec
-- Rows that exist are locked first; those that do not are inserted in the order in which
-- they were seen, which is their order where they were created in one second. One
-- mirror inserts at a time: two may have seen them in different orders. A build that has ended
-- stays so: what the mirror saw may be older than what the planner has noted.
WITH alone AS (
    SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.ci_build'))
), known AS (
    SELECT build_uid FROM ci_build WHERE build_uid = ANY(@build_uids::text[]) ORDER BY build_uid FOR NO KEY UPDATE
)
INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, ref, cause, phase, created_at, spec_hash)
SELECT n.build_uid, n.namespace, n.build_name, n.ci_pipeline, n.revision, n.ref, n.cause, n.phase, n.created_at, n.spec_hash
FROM (SELECT unnest(@build_uids::text[]) AS build_uid, unnest(@namespaces::text[]) AS namespace, unnest(@build_names::text[]) AS build_name,
             unnest(@ci_pipelines::text[]) AS ci_pipeline, unnest(@revisions::text[]) AS revision, unnest(@refs::text[]) AS ref, unnest(@causes::text[]) AS cause,
             unnest(@phases::text[]) AS phase, unnest(@created_ats::timestamptz[]) AS created_at, unnest(@spec_hashes::text[]) AS spec_hash, unnest(@places::integer[]) AS place) n
WHERE (SELECT count(*) FROM alone) = 1 AND (SELECT count(*) FROM known) >= 0
ORDER BY n.place
ON CONFLICT (build_uid) DO UPDATE
SET phase = CASE WHEN ci_build.phase IN ('Succeeded', 'Failed', 'Error', 'Cancelled') THEN ci_build.phase ELSE excluded.phase END,
    spec_hash = excluded.spec_hash, deleted_at = NULL,
    created_at = CASE ci_build.created_at WHEN '-infinity' THEN excluded.created_at ELSE ci_build.created_at END
WHERE (ci_build.phase <> excluded.phase AND ci_build.phase NOT IN ('Succeeded', 'Failed', 'Error', 'Cancelled'))
   OR ci_build.spec_hash IS DISTINCT FROM excluded.spec_hash OR ci_build.deleted_at IS NOT NULL
   OR (ci_build.created_at = '-infinity' AND excluded.created_at > '-infinity');

-- name: MirrorCdPipelines :exec
INSERT INTO cd_pipeline (pipeline_uid, namespace, pipeline, application, environment, parent_kind, parent_name, policy, suspended, held, spec_hash)
SELECT n.pipeline_uid, n.namespace, n.pipeline, n.application, n.environment, n.parent_kind, n.parent_name, n.policy, n.suspended, n.held, n.spec_hash
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@namespaces::text[]) AS namespace, unnest(@pipelines::text[]) AS pipeline,
             unnest(@applications::text[]) AS application, unnest(@environments::text[]) AS environment,
             unnest(@parent_kinds::text[]) AS parent_kind, unnest(@parent_names::text[]) AS parent_name, unnest(@policies::text[]) AS policy,
             unnest(@suspended::boolean[]) AS suspended, unnest(@held::boolean[]) AS held, unnest(@spec_hashes::text[]) AS spec_hash) n
ORDER BY n.pipeline_uid
ON CONFLICT (pipeline_uid) DO UPDATE
SET application = excluded.application, environment = excluded.environment, parent_kind = excluded.parent_kind, parent_name = excluded.parent_name,
    policy = excluded.policy, suspended = excluded.suspended, held = excluded.held, spec_hash = excluded.spec_hash, deleted_at = NULL
WHERE cd_pipeline.spec_hash <> excluded.spec_hash OR cd_pipeline.deleted_at IS NOT NULL;

-- name: MirrorCiPipelines :exec
INSERT INTO ci_pipeline (pipeline_uid, namespace, pipeline, application, suspended, spec_hash)
SELECT n.pipeline_uid, n.namespace, n.pipeline, n.application, n.suspended, n.spec_hash
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@namespaces::text[]) AS namespace, unnest(@pipelines::text[]) AS pipeline,
             unnest(@applications::text[]) AS application, unnest(@suspended::boolean[]) AS suspended, unnest(@spec_hashes::text[]) AS spec_hash) n
ORDER BY n.pipeline_uid
ON CONFLICT (pipeline_uid) DO UPDATE
SET application = excluded.application, suspended = excluded.suspended, spec_hash = excluded.spec_hash, deleted_at = NULL
WHERE ci_pipeline.spec_hash <> excluded.spec_hash OR ci_pipeline.deleted_at IS NOT NULL;

-- name: DeleteMirrored :exec
-- Notes which objects are gone, whatever their kind.
WITH builds AS (
    UPDATE ci_build SET deleted_at = now() WHERE build_uid IN (
        SELECT build_uid FROM ci_build WHERE build_uid = ANY(@uids::text[]) AND deleted_at IS NULL
        ORDER BY build_uid FOR NO KEY UPDATE)
), cds AS (
    UPDATE cd_pipeline SET deleted_at = now() WHERE pipeline_uid IN (
        SELECT pipeline_uid FROM cd_pipeline WHERE pipeline_uid = ANY(@uids::text[]) AND deleted_at IS NULL
        ORDER BY pipeline_uid FOR NO KEY UPDATE)
)
UPDATE ci_pipeline SET deleted_at = now() WHERE pipeline_uid IN (
    SELECT pipeline_uid FROM ci_pipeline WHERE pipeline_uid = ANY(@uids::text[]) AND deleted_at IS NULL
    ORDER BY pipeline_uid FOR NO KEY UPDATE);

-- name: MirroredObjects :many
-- What is believed to exist, of all kinds, a page at a time.
SELECT uid::text FROM (
    SELECT build_uid AS uid, namespace FROM ci_build WHERE deleted_at IS NULL
    UNION ALL SELECT pipeline_uid, namespace FROM cd_pipeline WHERE deleted_at IS NULL
    UNION ALL SELECT pipeline_uid, namespace FROM ci_pipeline WHERE deleted_at IS NULL) o
WHERE o.uid > @after::text AND (cardinality(@namespaces::text[]) = 0 OR o.namespace = ANY(@namespaces::text[]))
ORDER BY o.uid
LIMIT @most;
