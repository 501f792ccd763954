-- +goose NO TRANSACTION
-- +goose Up

-- The clusters where Workflows run beside Penstock's own. cluster_uid is the UID of the
-- namespace kube-system of the cluster that the lane's Workflows are in; seen_uid is that of
-- the cluster that answers under the name now. reason is why the lane is shut, '' while it is
-- open.
CREATE TABLE IF NOT EXISTS cluster_lane (
    cluster     text PRIMARY KEY,
    cluster_uid text NOT NULL,
    seen_uid    text NOT NULL,
    reason      text NOT NULL DEFAULT '',
    message     text NOT NULL DEFAULT '',
    since       timestamptz NOT NULL DEFAULT now()
);

-- The cluster where a task's Workflow may be, from its first claim on; '' at home.
ALTER TABLE task ADD COLUMN IF NOT EXISTS cluster_uid text NOT NULL DEFAULT '';

-- What is active is read by cluster, a page at a time, in the order of the ids.
DROP INDEX CONCURRENTLY IF EXISTS task_active_of_cluster;
CREATE INDEX CONCURRENTLY task_active_of_cluster ON task (cluster, id) WHERE status IN ('Submitted', 'Running');
DROP INDEX CONCURRENTLY IF EXISTS task_active_by_id;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS task_active_by_id;
CREATE INDEX CONCURRENTLY task_active_by_id ON task (id) WHERE status IN ('Submitted', 'Running');
DROP INDEX CONCURRENTLY IF EXISTS task_active_of_cluster;
ALTER TABLE task DROP COLUMN IF EXISTS cluster_uid;
DROP TABLE IF EXISTS cluster_lane;
