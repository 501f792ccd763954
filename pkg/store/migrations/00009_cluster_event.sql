-- +goose Up

-- One row for each change of a TargetCluster's health: what it was from then on.
CREATE TABLE cluster_event (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_uid text NOT NULL,
    cluster     text NOT NULL,
    phase       text NOT NULL,
    reason      text NOT NULL,
    message     text NOT NULL DEFAULT '',
    version     text NOT NULL DEFAULT '',
    occurred_at timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cluster_event_of_uid ON cluster_event (cluster_uid, id);
CREATE INDEX cluster_event_by_name ON cluster_event (cluster, id);

-- +goose Down
DROP TABLE cluster_event;
