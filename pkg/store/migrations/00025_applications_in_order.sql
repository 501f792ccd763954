-- +goose NO TRANSACTION
-- +goose Up

-- The pipelines of one application in the order of their names, in which they are shown.
-- Where an index gives that order only for the whole namespace, the generic plan reads all
-- pipelines of the namespace by name, and expects to find one page of them early.
DROP INDEX CONCURRENTLY IF EXISTS cd_pipeline_of_application_by_name;
CREATE INDEX CONCURRENTLY cd_pipeline_of_application_by_name ON cd_pipeline (namespace, (COALESCE(NULLIF(application, ''), pipeline)), pipeline) WHERE deleted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS cd_pipeline_of_application;
DROP INDEX CONCURRENTLY IF EXISTS ci_pipeline_of_application_by_name;
CREATE INDEX CONCURRENTLY ci_pipeline_of_application_by_name ON ci_pipeline (namespace, (COALESCE(NULLIF(application, ''), pipeline)), pipeline) WHERE deleted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS ci_pipeline_of_application;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS cd_pipeline_of_application;
CREATE INDEX CONCURRENTLY cd_pipeline_of_application ON cd_pipeline (namespace, (COALESCE(NULLIF(application, ''), pipeline))) WHERE deleted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS cd_pipeline_of_application_by_name;
DROP INDEX CONCURRENTLY IF EXISTS ci_pipeline_of_application;
CREATE INDEX CONCURRENTLY ci_pipeline_of_application ON ci_pipeline (namespace, (COALESCE(NULLIF(application, ''), pipeline))) WHERE deleted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS ci_pipeline_of_application_by_name;
