-- +goose NO TRANSACTION
-- +goose Up

-- What history is pruned by. One index that a broken attempt has left behind is not valid,
-- and is made anew.
DROP INDEX CONCURRENTLY IF EXISTS deployed_run;
CREATE INDEX CONCURRENTLY deployed_run ON deployed (run_id);
DROP INDEX CONCURRENTLY IF EXISTS ci_build_seq;
CREATE UNIQUE INDEX CONCURRENTLY ci_build_seq ON ci_build (seq);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS deployed_run;
DROP INDEX CONCURRENTLY IF EXISTS ci_build_seq;
