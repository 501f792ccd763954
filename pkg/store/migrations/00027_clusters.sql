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

-- What has not ended in other clusters. At home it costs nothing.
DROP INDEX CONCURRENTLY IF EXISTS task_elsewhere;
CREATE INDEX CONCURRENTLY task_elsewhere ON task (cluster, namespace, status)
    WHERE cluster <> '' AND status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running');

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS task_elsewhere;
ALTER TABLE task DROP COLUMN IF EXISTS cluster_uid;
DROP TABLE IF EXISTS cluster_lane;
