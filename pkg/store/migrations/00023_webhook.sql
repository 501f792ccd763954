-- +goose Up

-- Receivers that exist, so that who receives reads Postgres alone. The path is made once for each
-- and kept here: a status that was lost gets the same one back.
CREATE TABLE receiver (
    receiver_uid text PRIMARY KEY,
    namespace    text NOT NULL,
    name         text NOT NULL,
    path         text NOT NULL UNIQUE,
    type         text NOT NULL,
    spec         jsonb NOT NULL,
    generation   bigint NOT NULL,
    suspended    boolean NOT NULL,
    deleted_at   timestamptz
);
CREATE INDEX receiver_of_namespace ON receiver (namespace, name) WHERE deleted_at IS NULL;

-- What was received: a row is committed before the sender is told that it is. What is sent again
-- under the same id, or with the same body within a day, adds to repeats. body_key is the day
-- and the hash of the body, so that two equal bodies at the same moment make one row; it is
-- null where a person has a delivery worked off again, whose origin is the id of the first: what
-- was made for that is not made again. headers hold no secret. Rows of one
-- receiver and repository are worked off in the order of their ids.
CREATE TABLE webhook_delivery (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver_uid  text NOT NULL,
    namespace     text NOT NULL,
    receiver      text NOT NULL,
    delivery_id   text NOT NULL,
    origin        text NOT NULL,
    body_hash     text NOT NULL,
    body_key      text,
    type          text NOT NULL,
    event         text NOT NULL,
    headers       jsonb NOT NULL,
    body          bytea NOT NULL,
    repository    text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    repeats       integer NOT NULL DEFAULT 0,
    status        text NOT NULL DEFAULT 'Received' CHECK (status IN ('Received', 'Working', 'Done', 'Failed')),
    outcome       text NOT NULL DEFAULT '',
    message       text NOT NULL DEFAULT '',
    attempts      integer NOT NULL DEFAULT 0,
    due_at        timestamptz NOT NULL DEFAULT now(),
    claimed_by    text NOT NULL DEFAULT '',
    lease_until   timestamptz,
    finished_at   timestamptz,
    redelivery_of bigint,
    UNIQUE (receiver_uid, delivery_id),
    UNIQUE (receiver_uid, body_key)
);
CREATE INDEX webhook_delivery_open ON webhook_delivery (receiver_uid, repository, id) INCLUDE (namespace, due_at, lease_until)
    WHERE status IN ('Received', 'Working');
CREATE INDEX webhook_delivery_of_receiver ON webhook_delivery (receiver_uid, id);
CREATE INDEX webhook_delivery_of_namespace ON webhook_delivery (namespace, id);
CREATE INDEX webhook_delivery_body ON webhook_delivery (receiver_uid, body_hash, received_at) WHERE redelivery_of IS NULL;
ALTER TABLE webhook_delivery SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- +goose Down
DROP TABLE webhook_delivery;
DROP TABLE receiver;
