-- +goose NO TRANSACTION
-- +goose Up

-- The branch or tag of a build.
ALTER TABLE ci_build ADD COLUMN IF NOT EXISTS ref text NOT NULL DEFAULT '';

-- Builds of one pipeline and ref take turns. newest_at and newest_seq are the place of the
-- newest one that has had its turn; whoever gives turns locks the row first.
CREATE TABLE IF NOT EXISTS build_turn (
    pipeline_uid text NOT NULL,
    ref          text NOT NULL,
    newest_at    timestamptz NOT NULL DEFAULT '-infinity',
    newest_seq   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline_uid, ref)
);

-- Why a build has ended that ran here is part of its event.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION penstock_build_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (kind, namespace, build_name, state, reason)
    VALUES ('Build', NEW.namespace, NEW.build_name, NEW.phase,
            COALESCE((SELECT t.reason FROM task t WHERE t.kind = 'ci' AND t.inputs->>'build_uid' = NEW.build_uid), ''));
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- The task of a build, and the tasks of builds that have not ended.
DROP INDEX CONCURRENTLY IF EXISTS task_of_build;
CREATE INDEX CONCURRENTLY task_of_build ON task ((inputs->>'build_uid')) WHERE kind = 'ci';
DROP INDEX CONCURRENTLY IF EXISTS task_open_build;
CREATE INDEX CONCURRENTLY task_open_build ON task (owner_uid, id)
    WHERE kind = 'ci' AND status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running');

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION penstock_build_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (kind, namespace, build_name, state) VALUES ('Build', NEW.namespace, NEW.build_name, NEW.phase);
    RETURN NULL;
END $$;
-- +goose StatementEnd
DROP INDEX CONCURRENTLY IF EXISTS task_open_build;
DROP INDEX CONCURRENTLY IF EXISTS task_of_build;
DROP TABLE IF EXISTS build_turn;
ALTER TABLE ci_build DROP COLUMN IF EXISTS ref;
