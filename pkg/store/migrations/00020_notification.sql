-- +goose Up

-- Builds and clusters have events as well. What is there complies already.
ALTER TABLE event DROP CONSTRAINT event_kind_check;
ALTER TABLE event ADD CONSTRAINT event_kind_check CHECK (kind IN ('Task', 'Decision', 'Run', 'Request', 'Turn', 'Build', 'Cluster')) NOT VALID;
ALTER TABLE event ADD COLUMN cluster text NOT NULL DEFAULT '';

-- A build that has ended is an event, whoever notes it first: the planner or the mirror. Of a
-- build that is seen for the first time only where it is young: all that there are were seen
-- when Penstock was installed.
-- +goose StatementBegin
CREATE FUNCTION penstock_build_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (kind, namespace, build_name, state) VALUES ('Build', NEW.namespace, NEW.build_name, NEW.phase);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER ci_build_ended_unseen AFTER INSERT ON ci_build FOR EACH ROW
    WHEN (NEW.phase IN ('Succeeded', 'Failed', 'Error', 'Cancelled') AND NEW.created_at > now() - interval '1 day')
    EXECUTE FUNCTION penstock_build_ended();
CREATE TRIGGER ci_build_ended AFTER UPDATE OF phase ON ci_build FOR EACH ROW
    WHEN (NEW.phase IN ('Succeeded', 'Failed', 'Error', 'Cancelled') AND NEW.phase <> OLD.phase)
    EXECUTE FUNCTION penstock_build_ended();

-- Up to which event notifications were made, by the namespaces that are watched. Who makes them
-- holds the row, so that each event is told once. Transaction ids mean nothing in another
-- database server, such as one that a dump was restored into: it is known by its identifier,
-- and no event up to floor_id is told again there.
CREATE TABLE notification_cursor (
    watched  text PRIMARY KEY,
    server   text NOT NULL,
    xid      xid8 NOT NULL,
    id       bigint NOT NULL,
    floor_id bigint NOT NULL DEFAULT 0
);

-- What is to be told, or was: one row for each policy, channel and group of events, which is
-- sent again with newer figures. seq counts the rows of one group, of which the last is
-- open to further events until closes_at; null is for ever. wanted is the version that is to
-- be sent, and sent the last that was; it is due at due_at, and not at all where that is null.
-- items are the first events of the group, and events counts all.
CREATE TABLE notification (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace   text NOT NULL,
    policy      text NOT NULL,
    channel     text NOT NULL,
    group_key   text NOT NULL,
    seq         integer NOT NULL DEFAULT 1,
    type        text NOT NULL,
    build_uid   text NOT NULL DEFAULT '',
    items       jsonb NOT NULL DEFAULT '[]',
    events      bigint NOT NULL DEFAULT 0,
    is_complete boolean NOT NULL DEFAULT false,
    wanted      integer NOT NULL DEFAULT 1,
    sent        integer NOT NULL DEFAULT 0,
    state       text NOT NULL DEFAULT 'Waiting' CHECK (state IN ('Waiting', 'Sent', 'GivenUp', 'Skipped')),
    attempts    integer NOT NULL DEFAULT 0,
    tried_since timestamptz,
    due_at      timestamptz,
    claimed_by  text NOT NULL DEFAULT '',
    lease_until timestamptz,
    reference   text NOT NULL DEFAULT '',
    error       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz,
    closes_at   timestamptz,
    UNIQUE (namespace, policy, channel, group_key, seq)
);
CREATE INDEX notification_due ON notification (namespace, channel, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX notification_of_channel ON notification (namespace, channel, created_at);
CREATE INDEX notification_newest ON notification (namespace, id DESC);
CREATE INDEX notification_given_up ON notification (namespace, channel) WHERE state = 'GivenUp';
ALTER TABLE notification SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- +goose Down
DROP TABLE notification;
DROP TABLE notification_cursor;
DROP TRIGGER ci_build_ended ON ci_build;
DROP TRIGGER ci_build_ended_unseen ON ci_build;
DROP FUNCTION penstock_build_ended;
DELETE FROM event WHERE kind IN ('Build', 'Cluster');
ALTER TABLE event DROP COLUMN cluster;
ALTER TABLE event DROP CONSTRAINT event_kind_check;
ALTER TABLE event ADD CONSTRAINT event_kind_check CHECK (kind IN ('Task', 'Decision', 'Run', 'Request', 'Turn')) NOT VALID;
