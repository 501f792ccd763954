-- +goose Up

-- Why a Pending task is set aside: the API server refuses the Workflows of its namespace
-- for now, or the namespace has its share. Empty where it waits in the queue.
ALTER TABLE task ADD COLUMN delayed_by text NOT NULL DEFAULT '';

-- A task that was claimed before is available since -infinity only where it is to be ended.
UPDATE task SET available_at = 'epoch' WHERE status IN ('Pending', 'Submitting') AND attempt > 0 AND available_at = '-infinity' AND stop_reason = '';

-- +goose Down
ALTER TABLE task DROP COLUMN delayed_by;
