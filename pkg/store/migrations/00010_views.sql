-- +goose NO TRANSACTION
-- +goose Up

-- What `penstock server` looks for: pipelines by application, builds by namespace and by
-- pipeline with the newest first, and what happened to one build.
DROP INDEX CONCURRENTLY IF EXISTS cd_pipeline_of_application;
CREATE INDEX CONCURRENTLY cd_pipeline_of_application ON cd_pipeline (namespace, (COALESCE(NULLIF(application, ''), pipeline))) WHERE deleted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS ci_pipeline_of_application;
CREATE INDEX CONCURRENTLY ci_pipeline_of_application ON ci_pipeline (namespace, (COALESCE(NULLIF(application, ''), pipeline))) WHERE deleted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS ci_build_newest;
CREATE INDEX CONCURRENTLY ci_build_newest ON ci_build (namespace, seq DESC);
DROP INDEX CONCURRENTLY IF EXISTS ci_build_of_pipeline;
CREATE INDEX CONCURRENTLY ci_build_of_pipeline ON ci_build (namespace, ci_pipeline, seq DESC);
DROP INDEX CONCURRENTLY IF EXISTS event_of_build;
CREATE INDEX CONCURRENTLY event_of_build ON event (namespace, build_name, xid, id);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS cd_pipeline_of_application;
DROP INDEX CONCURRENTLY IF EXISTS ci_pipeline_of_application;
DROP INDEX CONCURRENTLY IF EXISTS ci_build_newest;
DROP INDEX CONCURRENTLY IF EXISTS ci_build_of_pipeline;
DROP INDEX CONCURRENTLY IF EXISTS event_of_build;
