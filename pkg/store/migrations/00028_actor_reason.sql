-- +goose Up
-- Why the actor of an event asked for it, in their own words; empty where nobody did.
ALTER TABLE event ADD COLUMN actor_reason text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE event DROP COLUMN actor_reason;
