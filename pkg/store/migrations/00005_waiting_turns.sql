-- +goose NO TRANSACTION
-- +goose Up

-- Where builds do not wait for each other, only the turns that wait are looked for.
DROP INDEX CONCURRENTLY IF EXISTS turn_waiting;
CREATE INDEX CONCURRENTLY turn_waiting ON turn (pipeline_uid) WHERE state = 'Waiting';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS turn_waiting;
