-- +goose Up

-- A build whose triggers are planned. Inserting its row is what makes planning
-- happen once: a second plan of the same build finds it and writes nothing.
CREATE TABLE ci_build (
    build_uid   text PRIMARY KEY,
    namespace   text NOT NULL,
    build_name  text NOT NULL,
    ci_pipeline text NOT NULL,
    revision    text NOT NULL,
    cause       text NOT NULL,
    phase       text NOT NULL,
    planned_at  timestamptz NOT NULL DEFAULT now()
);

-- What a build produced.
CREATE TABLE ci_artifact (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    build_uid   text NOT NULL REFERENCES ci_build,
    namespace   text NOT NULL,
    build_name  text NOT NULL,
    ci_pipeline text NOT NULL,
    image       text NOT NULL,
    digest      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (build_uid, image, digest)
);

-- One run of one CD pipeline for one artifact. outcome is null until the run ended.
CREATE TABLE cd_workflow (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ci_artifact_id bigint NOT NULL REFERENCES ci_artifact,
    namespace      text NOT NULL,
    pipeline       text NOT NULL,
    pipeline_uid   text NOT NULL,
    run            integer NOT NULL DEFAULT 1 CHECK (run > 0),
    cause          text NOT NULL,
    cluster        text NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    outcome        text CHECK (outcome IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')),
    UNIQUE (ci_artifact_id, pipeline_uid, run)
);

CREATE INDEX cd_workflow_by_pipeline ON cd_workflow (pipeline_uid, id DESC);

-- One stage of a run: at most one Workflow. It repeats the run's namespace, by which
-- the queue is read. available_at is not the time of insertion, or a clock that
-- steps back would hide the row. followed_at is null until what comes after the stage's end was committed.
CREATE TABLE cd_workflow_runner (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cd_workflow_id bigint NOT NULL REFERENCES cd_workflow,
    namespace      text NOT NULL,
    stage          text NOT NULL CHECK (stage IN ('PRE', 'DEPLOY', 'POST')),
    status         text NOT NULL DEFAULT 'Pending' CHECK (status IN (
                       'Pending', 'Submitting', 'Submitted', 'Running',
                       'Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')),
    reason         text NOT NULL DEFAULT '',
    message        text NOT NULL DEFAULT '',
    workflow_name  text NOT NULL,
    attempt        integer NOT NULL DEFAULT 0,
    priority       integer NOT NULL,
    fair_at        timestamptz NOT NULL,
    available_at   timestamptz NOT NULL DEFAULT '-infinity',
    claimed_by     text NOT NULL DEFAULT '',
    lease_until    timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    submitted_at   timestamptz,
    started_at     timestamptz,
    finished_at    timestamptz,
    followed_at    timestamptz,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (cd_workflow_id, stage)
);

-- The queue, in the order in which it is served.
CREATE INDEX cd_workflow_runner_queue ON cd_workflow_runner (priority DESC, fair_at, id)
    WHERE status = 'Pending';
CREATE INDEX cd_workflow_runner_leased ON cd_workflow_runner (lease_until)
    WHERE status = 'Submitting';
CREATE INDEX cd_workflow_runner_active ON cd_workflow_runner (changed_at)
    WHERE status IN ('Submitted', 'Running');
CREATE INDEX cd_workflow_runner_unfollowed ON cd_workflow_runner (id)
    WHERE followed_at IS NULL AND status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded');

-- What was decided for each pipeline below a finished build, triggered or not.
CREATE TABLE trigger_decision (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    build_uid    text NOT NULL REFERENCES ci_build,
    image        text NOT NULL,
    digest       text NOT NULL,
    namespace    text NOT NULL,
    build_name   text NOT NULL,
    pipeline     text NOT NULL,
    pipeline_uid text NOT NULL,
    outcome      text NOT NULL CHECK (outcome IN ('Triggered', 'Waiting', 'Skipped', 'Blocked')),
    reason       text NOT NULL,
    message      text NOT NULL,
    decided_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (build_uid, image, digest, pipeline_uid)
);

CREATE INDEX trigger_decision_by_pipeline ON trigger_decision (pipeline_uid, decided_at DESC);

-- +goose Down
DROP TABLE trigger_decision;
DROP TABLE cd_workflow_runner;
DROP TABLE cd_workflow;
DROP TABLE ci_artifact;
DROP TABLE ci_build;
