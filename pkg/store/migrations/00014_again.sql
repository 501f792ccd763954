-- +goose Up

-- A run that a person asked for, or that follows such a one: the pipelines below run once
-- more as well.
ALTER TABLE cd_workflow ADD COLUMN again boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE cd_workflow DROP COLUMN again;
