-- +goose NO TRANSACTION
-- +goose Up

-- The builds that a pipeline has run, in their order: what a rollback would go back to.
DROP INDEX CONCURRENTLY IF EXISTS turn_in_order;
CREATE INDEX CONCURRENTLY turn_in_order ON turn (pipeline_uid, built_at, build_seq);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS turn_in_order;
