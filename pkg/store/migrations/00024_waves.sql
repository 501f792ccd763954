-- +goose Up

-- What becomes of waves is an event as well: pipeline is the base image, run_id the wave's
-- number. What is there complies already.
ALTER TABLE event DROP CONSTRAINT event_kind_check;
ALTER TABLE event ADD CONSTRAINT event_kind_check CHECK (kind IN ('Task', 'Decision', 'Run', 'Request', 'Turn', 'Build', 'Cluster', 'Wave')) NOT VALID;

-- The waves of a base image: each builds what is built on it, for one digest. forgiven is how
-- many failures a person has let pass.
CREATE TABLE wave (
    image_uid  text NOT NULL REFERENCES base_image ON DELETE CASCADE,
    number     bigint NOT NULL,
    digest     text NOT NULL,
    state      text NOT NULL DEFAULT 'Running' CHECK (state IN ('Running', 'Stopped', 'Succeeded', 'Failed', 'Cancelled')),
    message    text NOT NULL DEFAULT '',
    forgiven   integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    PRIMARY KEY (image_uid, number)
);
CREATE INDEX wave_open ON wave (image_uid, number) WHERE ended_at IS NULL;
CREATE INDEX wave_ended ON wave (ended_at) WHERE ended_at IS NOT NULL;

-- One pipeline in one wave, which has one build of it ever. build_uid is '' until that exists.
CREATE TABLE wave_item (
    image_uid    text NOT NULL,
    number       bigint NOT NULL,
    pipeline_uid text NOT NULL,
    namespace    text NOT NULL,
    pipeline     text NOT NULL,
    build_name   text NOT NULL,
    build_uid    text NOT NULL DEFAULT '',
    state        text NOT NULL CHECK (state IN ('Deferred', 'Pending', 'Building', 'Succeeded', 'Failed', 'Skipped')),
    message      text NOT NULL DEFAULT '',
    ended_at     timestamptz,
    PRIMARY KEY (image_uid, number, pipeline_uid),
    FOREIGN KEY (image_uid, number) REFERENCES wave ON DELETE CASCADE
);
CREATE INDEX wave_item_building ON wave_item (namespace, build_name) WHERE state = 'Building';
CREATE INDEX wave_item_of_pipeline ON wave_item (pipeline_uid, ended_at);

-- +goose Down
DROP TABLE wave_item;
DROP TABLE wave;
DELETE FROM event WHERE kind = 'Wave';
ALTER TABLE event DROP CONSTRAINT event_kind_check;
ALTER TABLE event ADD CONSTRAINT event_kind_check CHECK (kind IN ('Task', 'Decision', 'Run', 'Request', 'Turn', 'Build', 'Cluster')) NOT VALID;
