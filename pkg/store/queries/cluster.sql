-- The history of TargetClusters.

-- name: InsertClusterEvents :exec
-- Keeps changes in the order given. One that the row before tells already is left out, so
-- that a change that is recorded again after a restart is one row.
WITH new AS (
    SELECT n.*, lag(n.phase || '/' || n.reason || '/' || n.version) OVER (PARTITION BY n.cluster_uid ORDER BY n.place) AS before
    FROM (SELECT unnest(@cluster_uids::text[]) AS cluster_uid, unnest(@clusters::text[]) AS cluster, unnest(@phases::text[]) AS phase,
                 unnest(@reasons::text[]) AS reason, unnest(@messages::text[]) AS message, unnest(@versions::text[]) AS version,
                 unnest(@occurred_ats::timestamptz[]) AS occurred_at, unnest(@places::integer[]) AS place) n
), recorded AS ( -- each is an event as well
    INSERT INTO cluster_event (cluster_uid, cluster, phase, reason, message, version, occurred_at)
    SELECT n.cluster_uid, n.cluster, n.phase, n.reason, n.message, n.version, n.occurred_at
    FROM new n
    WHERE n.phase || '/' || n.reason || '/' || n.version IS DISTINCT FROM coalesce(n.before, (
        SELECT e.phase || '/' || e.reason || '/' || e.version FROM cluster_event e WHERE e.cluster_uid = n.cluster_uid ORDER BY e.id DESC LIMIT 1))
    ORDER BY n.place
    RETURNING id, cluster, phase, reason, message
)
INSERT INTO event (kind, namespace, cluster, state, reason, message)
SELECT 'Cluster', '', r.cluster, r.phase, r.reason, r.message FROM recorded r ORDER BY r.id;

-- name: ClusterEvents :many
-- The newest first.
SELECT id, cluster_uid, cluster, phase, reason, message, version, occurred_at
FROM cluster_event
WHERE cluster = @cluster::text AND id < @before_id::bigint
ORDER BY id DESC
LIMIT @most;
