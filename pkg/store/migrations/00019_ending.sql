-- +goose NO TRANSACTION
-- +goose Up

-- What is to be ended, and was claimed before, is found whatever else waits: behind a closed
-- backlog gate that may be 50,000 tasks.
DROP INDEX CONCURRENTLY IF EXISTS task_ending;
CREATE INDEX CONCURRENTLY task_ending ON task (kind, cluster, id)
    WHERE status = 'Pending' AND (stop_reason <> '' OR (attempt > 0 AND available_at = '-infinity'));

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS task_ending;
