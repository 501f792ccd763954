-- +goose Up

-- What a process that claims says of itself with each sign of life: the limits in force, how
-- many Workflows it creates, and what keeps it from creating more. It is true as of beat_at.
ALTER TABLE worker ADD COLUMN state jsonb NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE worker DROP COLUMN state;
