-- +goose Up

-- Processes that claim tasks. The claims of one that has stopped to tell that it lives, by
-- this database's clock, are taken back before their leases run out. A replica is the same
-- after a restart, under another name.
CREATE TABLE worker (
    name       text PRIMARY KEY,
    replica    text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at    timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE worker;
