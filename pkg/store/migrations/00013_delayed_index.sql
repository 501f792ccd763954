-- +goose NO TRANSACTION
-- +goose Up

-- What is set aside is no part of the queue, so that no claim walks over it, and has an
-- order of its own in each namespace.
DROP INDEX CONCURRENTLY IF EXISTS task_delayed;
CREATE INDEX CONCURRENTLY task_delayed ON task (kind, cluster, namespace, priority DESC, fair_at, id)
    WHERE status = 'Pending' AND delayed_by <> '';
DROP INDEX CONCURRENTLY IF EXISTS task_queue_open;
CREATE INDEX CONCURRENTLY task_queue_open ON task (kind, cluster, priority DESC, fair_at, id)
    WHERE status = 'Pending' AND delayed_by = '';
DROP INDEX CONCURRENTLY IF EXISTS task_queue;
ALTER INDEX task_queue_open RENAME TO task_queue;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS task_delayed;
DROP INDEX CONCURRENTLY IF EXISTS task_queue_open;
CREATE INDEX CONCURRENTLY task_queue_open ON task (kind, cluster, priority DESC, fair_at, id) WHERE status = 'Pending';
DROP INDEX CONCURRENTLY IF EXISTS task_queue;
ALTER INDEX task_queue_open RENAME TO task_queue;
