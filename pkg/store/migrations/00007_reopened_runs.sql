-- +goose Up

-- A run whose Workflow was retried in Argo after a newer build had its turn: it follows the
-- Workflow, and nothing comes after it.
ALTER TABLE cd_workflow ADD COLUMN overtaken boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE cd_workflow DROP COLUMN overtaken;
