-- The lanes of other clusters: which cluster each is of, and why it is shut.

-- name: LockLanes :many
-- All of them: which cluster each is of is decided together.
SELECT cluster, cluster_uid, seen_uid, reason, message, since FROM cluster_lane ORDER BY cluster FOR UPDATE;

-- name: LockLaneTable :exec
-- Locks rows that do not exist yet, too: two names of one cluster may come at once.
LOCK TABLE cluster_lane IN SHARE ROW EXCLUSIVE MODE;

-- name: Lane :many
SELECT cluster, cluster_uid, seen_uid, reason, message, since FROM cluster_lane WHERE cluster = @cluster;

-- name: SetLane :exec
INSERT INTO cluster_lane AS l (cluster, cluster_uid, seen_uid, reason, message) VALUES (@cluster, @cluster_uid, @seen_uid, @reason, @message)
ON CONFLICT (cluster) DO UPDATE
SET cluster_uid = excluded.cluster_uid, seen_uid = excluded.seen_uid, reason = excluded.reason, message = excluded.message,
    since = CASE WHEN l.reason = excluded.reason THEN l.since ELSE now() END
WHERE (l.cluster_uid, l.seen_uid, l.reason, l.message) IS DISTINCT FROM (excluded.cluster_uid, excluded.seen_uid, excluded.reason, excluded.message);

-- name: HasUnended :one
-- Builds whose outputs were not read yet count as well.
SELECT (EXISTS (SELECT FROM task WHERE cluster <> '' AND cluster = @cluster::text AND status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running'))
     OR EXISTS (SELECT FROM task WHERE settled_at IS NULL AND kind = 'ci' AND cluster = @cluster::text
                AND status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')))::boolean;

-- name: DropLane :exec
DELETE FROM cluster_lane WHERE cluster = @cluster;

-- name: MoveTasks :execrows
-- Gives the tasks of one name of a cluster to another name of the same cluster. Their names and
-- identities do not tell where they are, so that their Workflows stay theirs.
WITH locked AS (
    SELECT id FROM task
    WHERE id IN (
        SELECT o.id FROM task o
        WHERE o.cluster <> '' AND o.cluster = @old_cluster::text AND o.status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running')
        UNION ALL
        SELECT e.id FROM task e
        WHERE e.settled_at IS NULL AND e.kind = 'ci' AND e.cluster = @old_cluster::text AND e.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded'))
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE task t SET cluster = @cluster::text, inputs = t.inputs || jsonb_build_object('cluster', @cluster::text)
FROM locked WHERE t.id = locked.id;

-- name: ShutLane :exec
-- Notes why a lane is shut, and since when. Nothing is written where that is known.
INSERT INTO cluster_lane AS l (cluster, cluster_uid, seen_uid, reason, message) VALUES (@cluster, '', @seen_uid, @reason, @message)
ON CONFLICT (cluster) DO UPDATE
SET reason = excluded.reason, message = excluded.message, seen_uid = CASE excluded.seen_uid WHEN '' THEN l.seen_uid ELSE excluded.seen_uid END, since = CASE WHEN l.reason = excluded.reason THEN l.since ELSE now() END
WHERE l.reason <> excluded.reason OR l.message <> excluded.message;

-- name: Lanes :many
SELECT cluster, cluster_uid, seen_uid, reason, message, since FROM cluster_lane ORDER BY cluster;

-- name: EndStranded :many
-- Ends tasks whose Workflow may be in the cluster that had this name before.
WITH locked AS (
    SELECT id FROM task
    WHERE task.cluster <> '' AND task.cluster = @cluster::text AND cluster_uid NOT IN ('', @cluster_uid::text)
      AND status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running') AND status <> 'Held'
    ORDER BY id
    LIMIT @most
    FOR NO KEY UPDATE
), moved AS (
    UPDATE task t
    SET status = CASE t.stop_reason WHEN '' THEN 'Error' WHEN 'Replaced' THEN 'Superseded' ELSE 'Cancelled' END,
        reason = CASE t.stop_reason WHEN '' THEN 'ClusterChanged' ELSE t.stop_reason END,
        message = CASE t.stop_reason WHEN '' THEN @message::text ELSE t.stop_message END,
        finished_at = now(), lease_until = NULL, delayed_by = '', changed_at = now()
    FROM locked
    WHERE t.id = locked.id AND t.status IN ('Pending', 'Submitting', 'Submitted', 'Running')
    RETURNING t.id, t.workflow_name, t.namespace, t.owner_name, t.owner_uid, t.inputs, t.status, t.reason, t.message
), logged AS (
    INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message)
    SELECT 'Task', m.namespace, COALESCE(m.inputs->>'build', ''), m.owner_name, m.owner_uid, COALESCE((m.inputs->>'run')::bigint, 0),
           m.id, COALESCE(m.inputs->>'stage', ''), m.status, m.reason, m.message
    FROM moved m
)
SELECT m.id, m.workflow_name, m.status, m.namespace, m.owner_name AS pipeline, m.owner_uid AS pipeline_uid, COALESCE(m.inputs->>'build', '')::text AS build_name
FROM moved m;

-- name: StopDeleted :many
-- Has the Workflows stopped of pipelines that are gone: there is no owner reference to another
-- cluster.
WITH locked AS (
    SELECT t.id FROM task t JOIN cd_pipeline p ON p.pipeline_uid = t.owner_uid
    WHERE t.cluster <> '' AND t.cluster = @cluster::text AND t.kind = 'cd' AND t.status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running')
      AND t.status IN ('Submitted', 'Running') AND t.stop_reason = '' AND p.deleted_at IS NOT NULL
    ORDER BY t.id
    LIMIT @most
    FOR NO KEY UPDATE OF t
)
UPDATE task t SET stop_reason = 'PipelineDeleted', stop_message = @message::text, changed_at = now()
FROM locked
WHERE t.id = locked.id AND t.stop_reason = ''
RETURNING t.id;

-- name: BusyClusters :many
-- The clusters, but for Penstock's own, and the namespaces in them of which tasks wait for a
-- slot or have a Workflow that has not ended. The index has nothing of Penstock's own.
SELECT DISTINCT cluster, namespace FROM task
WHERE cluster <> '' AND status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running') AND status <> 'Held'
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]));

-- name: WaitingInCluster :many
-- Whose tasks wait for a slot in a cluster: the first few of the queue.
SELECT h.namespace, h.owner_name AS pipeline, COALESCE(h.inputs->>'build', '')::text AS build_name
FROM (SELECT namespace, owner_name, inputs FROM task
      WHERE status = 'Pending' AND kind = 'cd' AND cluster = @cluster::text
      ORDER BY priority DESC, fair_at, id
      LIMIT @most) h;
