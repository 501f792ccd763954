-- +goose NO TRANSACTION
-- +goose Up

-- Base images that exist, or did. digest is that of the last check that succeeded, '' before the
-- first. check_wanted_at is when somebody asked for a check that was not made since.
-- wave_due_at is when a change starts the next wave, wave_digest what the last wave was for, or
-- the first digest that was seen, and wave the number of the last one.
CREATE TABLE IF NOT EXISTS base_image (
    image_uid       text PRIMARY KEY,
    namespace       text NOT NULL,
    name            text NOT NULL,
    image           text NOT NULL,
    repository      text NOT NULL,
    tag             text NOT NULL,
    digest          text NOT NULL DEFAULT '',
    previous_digest text NOT NULL DEFAULT '',
    checked_at      timestamptz,
    changed_at      timestamptz,
    check_wanted_at timestamptz,
    wave_due_at     timestamptz,
    wave_digest     text NOT NULL DEFAULT '',
    wave            bigint NOT NULL DEFAULT 0,
    deleted_at      timestamptz
);
CREATE INDEX IF NOT EXISTS base_image_by_name ON base_image (namespace, name);
CREATE INDEX IF NOT EXISTS base_image_of_repository ON base_image (namespace, repository, tag) WHERE deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS base_image_wanted ON base_image (check_wanted_at) WHERE check_wanted_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS base_image_wave_due ON base_image (wave_due_at) WHERE wave_due_at IS NOT NULL;

-- The newest builds of a pipeline that produced something.
DROP INDEX CONCURRENTLY IF EXISTS ci_build_succeeded;
CREATE INDEX CONCURRENTLY ci_build_succeeded ON ci_build (namespace, ci_pipeline, created_at DESC, seq DESC) WHERE phase = 'Succeeded';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ci_build_succeeded;
DROP TABLE IF EXISTS base_image;
