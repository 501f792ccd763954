-- Notifications: events become rows of the outbox, and these are claimed, sent and recorded.

-- name: LockCursors :many
-- The furthest first. One is ahead where its transaction is none of this server's yet.
SELECT c.watched, c.server, c.xid::text AS xid, c.id, c.floor_id, now()::timestamptz AS at, (c.xid > pg_snapshot_xmax(pg_current_snapshot()))::boolean AS is_ahead
FROM notification_cursor c ORDER BY c.xid DESC, c.id DESC FOR UPDATE;

-- name: TakeCursor :exec
-- Whoever watches other namespaces from now on goes on where the cursor of others was.
UPDATE notification_cursor SET watched = @watched WHERE watched = @watched_before;

-- name: DeleteCursors :exec
DELETE FROM notification_cursor WHERE watched = ANY(@watched::text[]);

-- name: AddCursor :exec
-- What has happened in the last minute is told: a policy may have come with Penstock itself.
-- No event is added to a transaction below the horizon, so that with the one before it any id
-- may stand there: the last one, which counts where the rows are restored into another server.
INSERT INTO notification_cursor (watched, server, xid, id)
SELECT @watched::text, @server::text,
       COALESCE(min(e.xid::text::bigint) FILTER (WHERE e.at > now() - interval '1 minute'), (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1)::text::xid8,
       COALESCE(min(e.id) FILTER (WHERE e.at > now() - interval '1 minute') - 1, max(e.id), 0)
FROM (SELECT event.xid, event.id, event.at FROM event ORDER BY event.id DESC LIMIT 10000) e
ON CONFLICT DO NOTHING;

-- name: EventsEnd :one
-- A place behind every event that is visible, and the last id: see AddCursor.
SELECT ((pg_snapshot_xmin(pg_current_snapshot())::text)::bigint - 1)::text AS xid, COALESCE(max(id), 0)::bigint AS id FROM event;

-- name: MoveCursor :exec
UPDATE notification_cursor SET server = @server, xid = (@xid::text)::xid8, id = @id, floor_id = @floor_id WHERE watched = @watched;

-- name: SkipEvents :exec
-- Moves the cursor to an earlier end of the events, and never back.
UPDATE notification_cursor SET xid = (@end_xid::text)::xid8, id = @end_id::bigint
WHERE xid < (@end_xid::text)::xid8 AND server = @server AND watched = @watched;

-- name: UntoldEvents :many
-- What comes after the cursor, as EventsAfter does it. Events up to floor_id came with a dump:
-- their transaction ids are of another server, and say nothing here.
SELECT e.xid::text AS xid, e.id, e.at, e.kind, e.namespace, e.build_name, e.pipeline, e.pipeline_uid, e.run_id, e.stage, e.state, e.reason, e.message, e.actor, e.actor_reason, e.cluster
FROM (
    SELECT * FROM event
    WHERE (event.xid, event.id) > ((@after_xid::text)::xid8, @after_id::bigint)
      AND event.xid < pg_snapshot_xmin(pg_current_snapshot()) AND event.id > @floor_id::bigint
    ORDER BY event.xid, event.id
    LIMIT @most
) e
ORDER BY e.xid, e.id;

-- name: MovedEvents :many
-- What comes after the cursor by its id, in a database server that has transaction ids of its
-- own: the events that a dump held and that had not been told.
SELECT e.xid::text AS xid, e.id, e.at, e.kind, e.namespace, e.build_name, e.pipeline, e.pipeline_uid, e.run_id, e.stage, e.state, e.reason, e.message, e.actor, e.actor_reason, e.cluster
FROM event e
WHERE e.id > @after_id::bigint
ORDER BY e.id
LIMIT @most;

-- name: BuildsToTell :many
-- How far builds are, by name: of equal names the newest. The rows are newer than the events
-- that are read: has_more tells of one that is still to come, after which it is looked again.
SELECT DISTINCT ON (b.namespace, b.build_name) b.namespace, b.build_name, b.build_uid, b.ci_pipeline, b.revision,
       (b.planned_at IS NOT NULL)::boolean AS is_planned, COALESCE(p.application, '')::text AS application,
       (SELECT count(*) FROM cd_workflow w WHERE w.build_uid = b.build_uid) AS runs,
       (SELECT count(*) FROM cd_workflow w WHERE w.build_uid = b.build_uid AND w.outcome IS NULL) AS running,
       (SELECT count(*) FROM trigger_decision d WHERE d.build_uid = b.build_uid AND d.outcome = 'Waiting') AS waiting,
       EXISTS (SELECT FROM event e WHERE e.namespace = b.namespace AND e.build_name = b.build_name AND (e.xid, e.id) > ((@after_xid::text)::xid8, @after_id::bigint)
           AND e.id > @floor_id::bigint AND (e.kind = 'Decision' OR (e.kind = 'Run' AND e.state <> 'Reopened')))::boolean AS has_more,
       COALESCE((SELECT max(w.finished_at) FROM cd_workflow w WHERE w.build_uid = b.build_uid), now())::timestamptz AS finished_at
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@build_names::text[]) AS build_name) n
JOIN ci_build b ON b.namespace = n.namespace AND b.build_name = n.build_name
LEFT JOIN ci_pipeline p ON p.namespace = b.namespace AND p.pipeline = b.ci_pipeline AND p.deleted_at IS NULL
ORDER BY b.namespace, b.build_name, b.seq DESC;

-- name: PipelinesToTell :many
SELECT pipeline_uid, application, environment FROM cd_pipeline WHERE pipeline_uid = ANY(@pipeline_uids::text[]);

-- name: RunsToTell :many
-- What runs deploy, in which cluster, and at which stage they ended badly.
SELECT w.id, a.image, a.digest, COALESCE(f.stage, '')::text AS stage, COALESCE(f.reason, '')::text AS reason, COALESCE(f.message, '')::text AS message,
       COALESCE((SELECT t.cluster FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = w.id ORDER BY r.id LIMIT 1), '')::text AS cluster
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
LEFT JOIN LATERAL (
    SELECT r.stage, t.reason, t.message FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
    WHERE r.cd_workflow_id = w.id AND t.status IN ('Failed', 'Error', 'Cancelled', 'Superseded') AND t.reason <> 'StageBeforeFailed'
    ORDER BY t.id LIMIT 1
) f ON true
WHERE w.id = ANY(@run_ids::bigint[]);

-- name: NotificationsOfGroups :many
-- The last row of each group, locked.
SELECT sqlc.embed(n), COALESCE(n.lease_until > now(), false)::boolean AS in_flight
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@policies::text[]) AS policy, unnest(@channels::text[]) AS channel, unnest(@group_keys::text[]) AS group_key) k
CROSS JOIN LATERAL (
    SELECT o.id FROM notification o
    WHERE o.namespace = k.namespace AND o.policy = k.policy AND o.channel = k.channel AND o.group_key = k.group_key
    ORDER BY o.seq DESC LIMIT 1) l
JOIN notification n ON n.id = l.id
ORDER BY n.id
FOR UPDATE OF n;

-- name: BegunNotifications :many
-- How many groups of each channel have begun within the last minute.
SELECT o.namespace, o.channel, count(*) AS begun
FROM (SELECT DISTINCT unnest(@namespaces::text[]) AS namespace, unnest(@channels::text[]) AS channel) k
JOIN notification o USING (namespace, channel)
WHERE o.created_at > now() - interval '1 minute' AND o.type <> 'Storm'
GROUP BY o.namespace, o.channel;

-- name: PutNotifications :exec
-- Writes what events have added to groups. What became of the sending is left as it is.
INSERT INTO notification AS n (namespace, policy, channel, group_key, seq, type, build_uid, items, events, is_complete, wanted, state, due_at, closes_at)
SELECT p.namespace, p.policy, p.channel, p.group_key, p.seq, p.type, p.build_uid, p.items, p.events, p.is_complete, p.wanted, p.state,
       NULLIF(p.due_at, 'infinity'), NULLIF(p.closes_at, 'infinity')
FROM (SELECT unnest(@namespaces::text[]) AS namespace, unnest(@policies::text[]) AS policy, unnest(@channels::text[]) AS channel,
             unnest(@group_keys::text[]) AS group_key, unnest(@seqs::integer[]) AS seq, unnest(@types::text[]) AS type, unnest(@build_uids::text[]) AS build_uid,
             unnest(@items::text[])::jsonb AS items, unnest(@events::bigint[]) AS events, unnest(@are_complete::boolean[]) AS is_complete,
             unnest(@wanted::integer[]) AS wanted, unnest(@states::text[]) AS state,
             unnest(@due_ats::timestamptz[]) AS due_at, unnest(@closes_ats::timestamptz[]) AS closes_at) p
ORDER BY p.namespace, p.policy, p.channel, p.group_key, p.seq
ON CONFLICT (namespace, policy, channel, group_key, seq) DO UPDATE
SET type = excluded.type, items = excluded.items, events = excluded.events, is_complete = excluded.is_complete, wanted = excluded.wanted,
    state = excluded.state, due_at = excluded.due_at, closes_at = excluded.closes_at, changed_at = now(),
    attempts = CASE WHEN n.state = 'GivenUp' THEN 0 ELSE n.attempts END, tried_since = CASE WHEN n.state = 'GivenUp' THEN NULL ELSE n.tried_since END;

-- name: ClaimNotifications :many
-- Takes what is due: one of each channel, but for those that are busy. A lease that has run
-- out is that of a process that ended while it sent. Without COALESCE,
-- Postgres may look each id up in the index of due notifications. It then reads that whole index for
-- each id, if the index was empty when Postgres made the plan.
UPDATE notification n
SET claimed_by = @worker, lease_until = now() + @lease::interval, attempts = n.attempts + 1, tried_since = COALESCE(n.tried_since, now())
WHERE n.id IN (
    SELECT d.id FROM (
        SELECT DISTINCT ON (o.namespace, o.channel) o.id, o.due_at FROM notification o
        WHERE o.due_at <= now() AND (o.lease_until IS NULL OR o.lease_until < now())
          AND o.namespace || '/' || o.channel <> ALL(@busy::text[])
          AND (cardinality(@namespaces::text[]) = 0 OR o.namespace = ANY(@namespaces::text[]))
        ORDER BY o.namespace, o.channel, o.due_at, o.id
    ) d
    ORDER BY d.due_at, d.id
    LIMIT @most)
  AND COALESCE(n.due_at, 'infinity') <= now() AND (n.lease_until IS NULL OR n.lease_until < now())
RETURNING n.*;

-- name: ClaimNextNotification :many
-- Takes what is due next of one channel.
UPDATE notification n
SET claimed_by = @worker, lease_until = now() + @lease::interval, attempts = n.attempts + 1, tried_since = COALESCE(n.tried_since, now())
WHERE n.id = (
    SELECT o.id FROM notification o
    WHERE o.namespace = @namespace AND o.channel = @channel AND o.due_at <= now() AND (o.lease_until IS NULL OR o.lease_until < now())
    ORDER BY o.due_at, o.id
    LIMIT 1)
  AND COALESCE(n.due_at, 'infinity') <= now() AND (n.lease_until IS NULL OR n.lease_until < now())
RETURNING n.*;

-- name: RecordNotification :execrows
-- What became of a sending, where the claim still holds. What was added meanwhile stays due.
UPDATE notification n
SET claimed_by = '', lease_until = NULL,
    state = CASE WHEN @outcome::text = 'Sent' AND n.wanted > @version::integer THEN 'Waiting'
                 WHEN @outcome::text = 'GivenUp' AND n.wanted > @version::integer THEN 'Waiting' ELSE @outcome::text END,
    sent = CASE WHEN @outcome::text = 'Sent' THEN @version::integer ELSE n.sent END,
    sent_at = CASE WHEN @outcome::text = 'Sent' THEN now() ELSE n.sent_at END,
    reference = CASE WHEN @outcome::text = 'Sent' THEN @reference::text ELSE n.reference END,
    attempts = CASE WHEN @outcome::text = 'Sent' OR (@outcome::text = 'GivenUp' AND n.wanted > @version::integer) THEN 0 ELSE n.attempts END,
    tried_since = CASE WHEN @outcome::text = 'Sent' OR (@outcome::text = 'GivenUp' AND n.wanted > @version::integer) THEN NULL ELSE n.tried_since END,
    error = @error::text,
    due_at = CASE WHEN @outcome::text = 'Waiting' THEN now() + @delay::interval
                  WHEN n.wanted > @version::integer THEN n.due_at END,
    changed_at = now()
WHERE n.id = @id AND n.claimed_by = @worker AND n.attempts = @attempts;

-- name: ChannelCounts :many
-- What waits and what was given up, of each channel. What is tried again is late since it was
-- first tried.
SELECT namespace, channel, count(*) FILTER (WHERE due_at IS NOT NULL) AS waiting, count(*) FILTER (WHERE state = 'GivenUp') AS dropped,
       COALESCE(EXTRACT(EPOCH FROM now() - min(since) FILTER (WHERE since < now())), 0)::float8 AS oldest_seconds
FROM (SELECT namespace, channel, state, due_at, LEAST(due_at, tried_since) AS since FROM notification WHERE due_at IS NOT NULL
      UNION ALL SELECT namespace, channel, state, due_at, NULL FROM notification WHERE state = 'GivenUp' AND due_at IS NULL) n
GROUP BY namespace, channel;

-- name: ResendNotification :execrows
-- Has what was sent or given up sent again, as the same delivery. What is being sent just now
-- stays the worker's. Unless unchanged is -infinity, only what has not changed since then.
UPDATE notification
SET due_at = now(), state = 'Waiting', changed_at = now(), attempts = CASE WHEN lease_until > now() THEN attempts ELSE 0 END,
    tried_since = CASE WHEN lease_until > now() THEN tried_since END
WHERE id = @id AND namespace = @namespace AND (@unchanged::timestamptz = '-infinity' OR changed_at = @unchanged::timestamptz);

-- name: AddTest :one
-- A notification that tests a channel.
INSERT INTO notification (namespace, policy, channel, group_key, type, items, events, is_complete, due_at)
VALUES (@namespace, '', @channel, @group_key, 'Test', (@items::text)::jsonb, 1, true, now())
RETURNING id;

-- name: ViewNotifications :many
-- The newest first.
SELECT n.* FROM notification n
WHERE n.namespace = @namespace AND n.id < @before_id::bigint
  AND (@channel::text = '' OR n.channel = @channel::text)
  AND (NOT @failed::boolean OR n.state = 'GivenUp' OR (n.state = 'Waiting' AND n.error <> ''))
ORDER BY n.id DESC
LIMIT @most;

-- name: PruneNotifications :one
-- Notifications that are not due.
WITH page AS (
    SELECT n.id, n.namespace, n.due_at, n.changed_at < now() - @age::interval AS is_old FROM notification n WHERE n.id > @after::bigint ORDER BY n.id LIMIT @most::bigint
), gone AS (
    DELETE FROM notification WHERE notification.due_at IS NULL AND notification.id IN (
        SELECT p.id FROM page p
        WHERE p.is_old AND p.due_at IS NULL AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[])))
    RETURNING notification.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted,
    (count(*) = @most::bigint)::boolean AS more
FROM page p;

-- name: ReleaseNotifications :exec
-- A process of this name has ended: what it was sending is due again.
UPDATE notification SET claimed_by = '', lease_until = NULL WHERE claimed_by = @worker AND due_at IS NOT NULL;
