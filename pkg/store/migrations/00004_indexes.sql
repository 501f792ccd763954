-- +goose NO TRANSACTION
-- +goose Up

-- Indexes on tables that may be large are built while others write. One that a broken
-- attempt has left behind is not valid, and is made anew.
DROP INDEX CONCURRENTLY IF EXISTS ci_build_by_name;
CREATE INDEX CONCURRENTLY ci_build_by_name ON ci_build (namespace, build_name);
DROP INDEX CONCURRENTLY IF EXISTS cd_workflow_of_turn;
CREATE INDEX CONCURRENTLY cd_workflow_of_turn ON cd_workflow (turn_id);
DROP INDEX CONCURRENTLY IF EXISTS cd_workflow_of_build;
CREATE INDEX CONCURRENTLY cd_workflow_of_build ON cd_workflow (build_uid);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ci_build_by_name;
DROP INDEX CONCURRENTLY IF EXISTS cd_workflow_of_turn;
DROP INDEX CONCURRENTLY IF EXISTS cd_workflow_of_build;
