-- +goose Up

-- An older Penstock that still runs writes nothing while its rows are moved, and can't
-- afterwards: the columns that it knows are gone.
LOCK TABLE ci_build, cd_workflow, cd_workflow_runner, trigger_decision IN ACCESS EXCLUSIVE MODE;

-- The base32 form of a task's identity, as trigger.Identity.Hash gives it: SHA-256 over
-- the fields, each preceded by its length in bytes. Dropped again below.
-- +goose StatementBegin
CREATE FUNCTION penstock_identity(VARIADIC fields text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    encoded bytea := '';
    field   text;
    bits    bit(260);
    hash    text := '';
BEGIN
    FOREACH field IN ARRAY fields LOOP
        encoded := encoded || convert_to(octet_length(convert_to(field, 'UTF8')) || ':' || field, 'UTF8');
    END LOOP;
    bits := ('x' || encode(sha256(encoded), 'hex') || '0')::bit(260);
    FOR i IN 0..51 LOOP
        hash := hash || substr('abcdefghijklmnopqrstuvwxyz234567', substring(bits FROM i * 5 + 1 FOR 5)::integer + 1, 1);
    END LOOP;
    RETURN hash;
END $$;
-- +goose StatementEnd

-- One entry of the queue, which becomes at most one Workflow: a stage of a run, or a
-- build. It is self-contained: no join decides whether it is claimed, and large inputs
-- are read when it is. available_at is not the time of insertion, or a clock that steps
-- back would hide the task. queued_at is since when the task waits for a slot. settled_at
-- is null until what follows its end was committed.
CREATE TABLE task (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL,
    namespace     text NOT NULL,
    cluster       text NOT NULL DEFAULT '',
    owner_kind    text NOT NULL,
    owner_name    text NOT NULL,
    owner_uid     text NOT NULL,
    identity      text NOT NULL UNIQUE,
    workflow_name text NOT NULL,
    workflow_uid  text NOT NULL DEFAULT '',
    inputs        jsonb NOT NULL DEFAULT '{}',
    status        text NOT NULL CHECK (status IN (
                      'Held', 'Pending', 'Submitting', 'Submitted', 'Running',
                      'Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')),
    reason        text NOT NULL DEFAULT '',
    message       text NOT NULL DEFAULT '',
    reopened      integer NOT NULL DEFAULT 0,
    attempt       integer NOT NULL DEFAULT 0,
    failures      integer NOT NULL DEFAULT 0,
    priority      integer NOT NULL,
    fair_at       timestamptz NOT NULL,
    available_at  timestamptz NOT NULL DEFAULT '-infinity',
    claimed_by    text NOT NULL DEFAULT '',
    lease_until   timestamptz,
    stop_reason   text NOT NULL DEFAULT '',
    stop_message  text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    queued_at     timestamptz NOT NULL DEFAULT now(),
    submitted_at  timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    settled_at    timestamptz,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (namespace, workflow_name, cluster)
);

-- One build's turn in one pipeline: its runs there go together. A request that a person
-- made has a turn of its own. built_at and build_seq are the build's place in the order
-- of builds; asked means that the build may be older than one that had its turn.
CREATE TABLE turn (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline_uid text NOT NULL,
    build_uid    text NOT NULL REFERENCES ci_build,
    request      text NOT NULL DEFAULT '',
    built_at     timestamptz NOT NULL,
    build_seq    bigint NOT NULL,
    asked        boolean NOT NULL DEFAULT false,
    state        text NOT NULL CHECK (state IN ('Waiting', 'Active', 'Yielded', 'Ended', 'Superseded')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    taken_at     timestamptz,
    ended_at     timestamptz
);

-- The pipelines and builds that exist, or existed, so that who answers questions reads
-- Postgres alone. newest_at and newest_seq are the place of the newest build that has
-- had its turn; whoever decides on turns locks the pipeline's row first.
CREATE TABLE cd_pipeline (
    pipeline_uid text PRIMARY KEY,
    namespace    text NOT NULL,
    pipeline     text NOT NULL,
    application  text NOT NULL DEFAULT '',
    environment  text NOT NULL DEFAULT '',
    parent_kind  text NOT NULL DEFAULT '',
    parent_name  text NOT NULL DEFAULT '',
    policy       text NOT NULL DEFAULT '',
    suspended    boolean NOT NULL DEFAULT false,
    held         boolean NOT NULL DEFAULT false,
    spec_hash    text NOT NULL DEFAULT '',
    newest_at    timestamptz NOT NULL DEFAULT '-infinity',
    newest_seq   bigint NOT NULL DEFAULT 0,
    last_run_id  bigint,
    created_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);

CREATE TABLE ci_pipeline (
    pipeline_uid text PRIMARY KEY,
    namespace    text NOT NULL,
    pipeline     text NOT NULL,
    application  text NOT NULL DEFAULT '',
    suspended    boolean NOT NULL DEFAULT false,
    spec_hash    text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);

-- A build is known from its first sight on, and planned once planned_at is set. When one
-- was created is not known of those that were planned before the upgrade: they come before
-- all others, in the order in which they were planned. A build that was under way at the
-- upgrade may be older than their plans, and is newer than they are all the same.
ALTER TABLE ci_build ALTER COLUMN planned_at DROP NOT NULL;
ALTER TABLE ci_build ALTER COLUMN planned_at DROP DEFAULT;
ALTER TABLE ci_build ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE ci_build ADD COLUMN created_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE ci_build ADD COLUMN spec_hash text NOT NULL DEFAULT '';
ALTER TABLE ci_build ADD COLUMN deleted_at timestamptz;
CREATE INDEX cd_pipeline_by_name ON cd_pipeline (namespace, pipeline);
CREATE INDEX ci_pipeline_by_name ON ci_pipeline (namespace, pipeline);

-- Runs.
ALTER TABLE cd_workflow ADD COLUMN turn_id bigint REFERENCES turn;
ALTER TABLE cd_workflow ADD COLUMN build_uid text REFERENCES ci_build;
ALTER TABLE cd_workflow ADD COLUMN artifacts text NOT NULL DEFAULT 'Each' CHECK (artifacts IN ('Each', 'All'));
ALTER TABLE cd_workflow ADD COLUMN also text[] NOT NULL DEFAULT '{}';
ALTER TABLE cd_workflow ADD COLUMN descends boolean NOT NULL DEFAULT true;
ALTER TABLE cd_workflow ADD COLUMN actor text NOT NULL DEFAULT '';
-- False for runs that were planned before all their stages were rows from the start.
ALTER TABLE cd_workflow ADD COLUMN whole boolean NOT NULL DEFAULT true;
UPDATE cd_workflow SET whole = false WHERE outcome IS NULL;
UPDATE cd_workflow w SET build_uid = a.build_uid FROM ci_artifact a WHERE a.id = w.ci_artifact_id;
ALTER TABLE cd_workflow ALTER COLUMN build_uid SET NOT NULL;

-- What is deployed: of each pipeline and repository the last DEPLOY that succeeded.
CREATE TABLE deployed (
    pipeline_uid text NOT NULL,
    repository   text NOT NULL,
    run_id       bigint NOT NULL REFERENCES cd_workflow,
    image        text NOT NULL,
    digest       text NOT NULL,
    build_name   text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline_uid, repository)
);

-- A request that was carried out or refused, once for its name and spec.
CREATE TABLE run_request (
    namespace text NOT NULL,
    name      text NOT NULL,
    spec_hash text NOT NULL,
    action    text NOT NULL,
    phase     text NOT NULL CHECK (phase IN ('Accepted', 'Done', 'Refused')),
    run_id    bigint NOT NULL DEFAULT 0,
    message   text NOT NULL,
    actor     text NOT NULL,
    reason    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, name, spec_hash)
);

-- One row for each transition and decision, written by the statement that makes it. Ids
-- are not in the order of commits: who follows reads (xid, id) below the oldest
-- transaction under way.
CREATE TABLE event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at           timestamptz NOT NULL DEFAULT now(),
    kind         text NOT NULL CHECK (kind IN ('Task', 'Decision', 'Run', 'Request', 'Turn')),
    namespace    text NOT NULL,
    build_name   text NOT NULL DEFAULT '',
    pipeline     text NOT NULL DEFAULT '',
    pipeline_uid text NOT NULL DEFAULT '',
    run_id       bigint NOT NULL DEFAULT 0,
    task_id      bigint NOT NULL DEFAULT 0,
    stage        text NOT NULL DEFAULT '',
    state        text NOT NULL,
    reason       text NOT NULL DEFAULT '',
    message      text NOT NULL DEFAULT '',
    actor        text NOT NULL DEFAULT ''
);

-- Each stage of a run becomes one that points to its task.
INSERT INTO task (id, kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, reason, message,
    attempt, priority, fair_at, available_at, claimed_by, lease_until, created_at, queued_at, submitted_at, started_at, finished_at, settled_at, changed_at)
OVERRIDING SYSTEM VALUE
SELECT r.id, 'cd', r.namespace, 'CdPipeline', w.pipeline, w.pipeline_uid,
    penstock_identity(a.build_uid, a.image, a.digest, w.pipeline_uid, w.run::text, r.stage), r.workflow_name,
    jsonb_build_object('build', b.build_name, 'revision', b.revision, 'image', a.image, 'digest', a.digest, 'stage', r.stage, 'run', w.id),
    r.status, r.reason, r.message,
    r.attempt, r.priority, r.fair_at, r.available_at, r.claimed_by, r.lease_until, r.created_at, r.created_at, r.submitted_at, r.started_at,
    r.finished_at, r.followed_at, r.changed_at
FROM cd_workflow_runner r
JOIN cd_workflow w ON w.id = r.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN ci_build b ON b.build_uid = a.build_uid;
SELECT setval(pg_get_serial_sequence('task', 'id'), COALESCE((SELECT max(id) FROM task), 0) + 1, false);

ALTER TABLE cd_workflow_runner ADD COLUMN task_id bigint REFERENCES task;
ALTER TABLE cd_workflow_runner ADD COLUMN attempt_of_stage integer NOT NULL DEFAULT 1;
ALTER TABLE cd_workflow_runner ADD COLUMN resumed_by text;
UPDATE cd_workflow_runner SET task_id = id;
ALTER TABLE cd_workflow_runner ALTER COLUMN task_id SET NOT NULL;
DROP INDEX cd_workflow_runner_queue, cd_workflow_runner_leased, cd_workflow_runner_active, cd_workflow_runner_unfollowed;
ALTER TABLE cd_workflow_runner
    DROP COLUMN status, DROP COLUMN reason, DROP COLUMN message, DROP COLUMN workflow_name, DROP COLUMN attempt,
    DROP COLUMN priority, DROP COLUMN fair_at, DROP COLUMN available_at, DROP COLUMN claimed_by, DROP COLUMN lease_until,
    DROP COLUMN submitted_at, DROP COLUMN started_at, DROP COLUMN finished_at, DROP COLUMN followed_at, DROP COLUMN changed_at;
ALTER TABLE cd_workflow_runner RENAME COLUMN attempt_of_stage TO attempt;
CREATE UNIQUE INDEX cd_workflow_runner_task ON cd_workflow_runner (task_id);

-- Pipelines that have runs are known, and runs that have not ended have a turn. They
-- were unordered until now: all are under way at once.
INSERT INTO cd_pipeline (pipeline_uid, namespace, pipeline, last_run_id)
SELECT DISTINCT ON (pipeline_uid) pipeline_uid, namespace, pipeline, id FROM cd_workflow ORDER BY pipeline_uid, id DESC;
INSERT INTO turn (pipeline_uid, build_uid, built_at, build_seq, state, created_at, taken_at, ended_at)
SELECT w.pipeline_uid, w.build_uid, b.created_at, b.seq,
    CASE WHEN bool_and(w.outcome IS NOT NULL) THEN 'Ended' ELSE 'Active' END,
    min(w.created_at), min(w.created_at), CASE WHEN bool_and(w.outcome IS NOT NULL) THEN max(w.finished_at) END
FROM cd_workflow w JOIN ci_build b ON b.build_uid = w.build_uid
GROUP BY w.pipeline_uid, w.build_uid, b.created_at, b.seq;
UPDATE cd_workflow w SET turn_id = t.id FROM turn t WHERE t.pipeline_uid = w.pipeline_uid AND t.build_uid = w.build_uid;
ALTER TABLE cd_workflow ALTER COLUMN turn_id SET NOT NULL;
UPDATE cd_pipeline p SET newest_at = n.built_at, newest_seq = n.build_seq
FROM (SELECT DISTINCT ON (pipeline_uid) pipeline_uid, built_at, build_seq FROM turn ORDER BY pipeline_uid, built_at DESC, build_seq DESC) n
WHERE n.pipeline_uid = p.pipeline_uid;
INSERT INTO deployed (pipeline_uid, repository, run_id, image, digest, build_name, at)
SELECT DISTINCT ON (w.pipeline_uid, repository) w.pipeline_uid,
    regexp_replace(split_part(a.image, '@', 1), ':[^/:]*$', '') AS repository, w.id, a.image, a.digest, a.build_name, COALESCE(t.finished_at, t.changed_at)
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id AND r.stage = 'DEPLOY'
JOIN task t ON t.id = r.task_id AND t.status = 'Succeeded'
ORDER BY w.pipeline_uid, repository, t.finished_at DESC, w.id DESC;

-- A run that waited for a person between two stages had no row for the stage that waits.
-- The stages behind one that is under way are not known: they are what follow finds.
INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, reason, message, priority, fair_at)
SELECT 'cd', w.namespace, 'CdPipeline', w.pipeline, w.pipeline_uid, n.identity,
    rtrim(left(replace(w.pipeline, '.', '-'), 63 - length('-' || lower(n.stage) || '-') - 16), '-') || '-' || lower(n.stage) || '-' || left(n.identity, 16),
    jsonb_build_object('build', b.build_name, 'revision', b.revision, 'image', a.image, 'digest', a.digest, 'stage', n.stage, 'run', w.id),
    'Held', 'Person', d.message, l.priority, now()
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN ci_build b ON b.build_uid = a.build_uid
JOIN trigger_decision d ON d.build_uid = a.build_uid AND d.image = a.image AND d.digest = a.digest AND d.pipeline_uid = w.pipeline_uid
    AND d.outcome = 'Waiting' AND d.reason = 'ManualStage'
JOIN LATERAL (SELECT r.stage, t.priority FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
    WHERE r.cd_workflow_id = w.id ORDER BY r.id DESC LIMIT 1) l ON true
CROSS JOIN LATERAL (SELECT CASE l.stage WHEN 'PRE' THEN 'DEPLOY' ELSE 'POST' END AS stage) s
CROSS JOIN LATERAL (SELECT s.stage, penstock_identity(a.build_uid, a.image, a.digest, w.pipeline_uid, w.run::text, s.stage) AS identity) n
WHERE w.outcome IS NULL;
INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
SELECT (t.inputs->>'run')::bigint, t.namespace, t.inputs->>'stage', t.id FROM task t WHERE t.status = 'Held';
UPDATE trigger_decision SET outcome = 'Triggered', reason = 'Triggered', message = 'by build ' || build_name
WHERE outcome = 'Waiting' AND reason = 'ManualStage';
UPDATE turn SET state = 'Yielded' WHERE state = 'Active' AND NOT EXISTS (
    SELECT FROM cd_workflow w JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id JOIN task t ON t.id = r.task_id
    WHERE w.turn_id = turn.id AND (t.status IN ('Pending', 'Submitting', 'Submitted', 'Running') OR (t.settled_at IS NULL AND t.status <> 'Held')));

DROP FUNCTION penstock_identity;

-- The queue, in the order in which it is served, one lane behind the other.
CREATE INDEX task_queue ON task (kind, cluster, priority DESC, fair_at, id) WHERE status = 'Pending';
CREATE INDEX task_leased ON task (lease_until) WHERE status = 'Submitting';
CREATE INDEX task_active ON task (changed_at) WHERE status IN ('Submitted', 'Running');
CREATE INDEX task_unsettled ON task (id)
    WHERE settled_at IS NULL AND status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded');
CREATE INDEX task_stopping ON task (id) WHERE stop_reason <> '' AND status IN ('Submitted', 'Running');
CREATE INDEX task_waiting ON task (owner_uid) WHERE status IN ('Held', 'Pending');
CREATE INDEX turn_live ON turn (pipeline_uid) WHERE state IN ('Waiting', 'Active', 'Yielded');
CREATE INDEX turn_of_build ON turn (build_uid);
CREATE INDEX event_order ON event (xid, id);

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'the queue can not be taken back: restore the backup that was made before the upgrade'; END $$;
-- +goose StatementEnd
