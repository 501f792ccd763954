-- +goose NO TRANSACTION
-- +goose Up

-- What is active is read a page at a time, in the order of the ids.
DROP INDEX CONCURRENTLY IF EXISTS task_active_by_id;
CREATE INDEX CONCURRENTLY task_active_by_id ON task (id) WHERE status IN ('Submitted', 'Running');
DROP INDEX CONCURRENTLY IF EXISTS task_active;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS task_active;
CREATE INDEX CONCURRENTLY task_active ON task (changed_at) WHERE status IN ('Submitted', 'Running');
DROP INDEX CONCURRENTLY IF EXISTS task_active_by_id;
