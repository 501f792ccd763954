-- Webhooks: the receivers that exist, and what they received.

-- name: PutReceiver :one
-- The path that is given counts only where the receiver has none.
INSERT INTO receiver AS r (receiver_uid, namespace, name, path, type, spec, generation, suspended)
VALUES (@receiver_uid, @namespace, @name, @path, @type, (@spec::text)::jsonb, @generation, @suspended)
ON CONFLICT (receiver_uid) DO UPDATE
SET type = excluded.type, spec = excluded.spec, generation = excluded.generation, suspended = excluded.suspended, deleted_at = NULL
RETURNING r.path;

-- name: ForgetReceivers :exec
-- Notes that receivers are gone, and deletes those that have been for long.
WITH gone AS (
    DELETE FROM receiver r WHERE r.deleted_at < now() - interval '30 days'
)
UPDATE receiver SET deleted_at = now()
WHERE deleted_at IS NULL AND receiver_uid <> ALL(@existing::text[]) AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]));

-- name: Receivers :many
-- All that exist, each with what came of the delivery that was worked off last.
SELECT r.receiver_uid, r.generation, r.path, COALESCE(d.id, 0)::bigint AS last_id, COALESCE(d.received_at, 'epoch')::timestamptz AS last_at,
       COALESCE(d.outcome, '')::text AS last_outcome, COALESCE(d.message, '')::text AS last_message,
       r.secret_generation, r.secret_reason, r.secret_problem
FROM receiver r
LEFT JOIN LATERAL (
    SELECT w.id, w.received_at, w.outcome, w.message FROM webhook_delivery w
    WHERE w.receiver_uid = r.receiver_uid AND w.status IN ('Done', 'Failed')
    ORDER BY w.id DESC LIMIT 1
) d ON true
WHERE r.deleted_at IS NULL AND (cardinality(@namespaces::text[]) = 0 OR r.namespace = ANY(@namespaces::text[]));

-- name: ReceiversByPath :many
SELECT receiver_uid, namespace, name, path, spec, generation, secret_generation, secret_reason FROM receiver WHERE deleted_at IS NULL;

-- name: NoteSecret :exec
-- Notes what is wrong with a receiver's Secret, where it has changed.
UPDATE receiver SET secret_generation = @generation, secret_reason = @reason, secret_problem = @problem
WHERE receiver_uid = @receiver_uid AND (secret_generation <> @generation OR secret_reason <> @reason OR secret_problem <> @problem);

-- name: AddDelivery :many
-- Nothing where it was received before.
INSERT INTO webhook_delivery (receiver_uid, namespace, receiver, delivery_id, origin, body_hash, body_key, type, event, headers, body, repository)
SELECT @receiver_uid::text, @namespace::text, @receiver::text, @delivery_id::text, @delivery_id::text, @body_hash::text, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD ') || @body_hash::text,
       @type::text, @event::text, (@headers::text)::jsonb, @body::bytea, @repository::text
WHERE NOT EXISTS (
    SELECT FROM webhook_delivery d
    WHERE d.receiver_uid = @receiver_uid::text AND d.body_hash = @body_hash::text AND d.received_at > now() - interval '1 day' AND d.redelivery_of IS NULL)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: RepeatDelivery :many
-- Counts what was received before, and returns which that was.
UPDATE webhook_delivery SET repeats = repeats + 1
WHERE id = (
    SELECT min(f.id) FROM (
        SELECT d.id FROM webhook_delivery d WHERE d.receiver_uid = @receiver_uid AND d.delivery_id = @delivery_id
        UNION ALL
        SELECT b.id FROM webhook_delivery b
        WHERE b.receiver_uid = @receiver_uid AND b.body_hash = @body_hash AND b.received_at > now() - interval '1 day' AND b.redelivery_of IS NULL
    ) f)
RETURNING id;

-- name: ClaimDeliveries :many
-- Takes the first that is open of each receiver and repository, where it is due. A lease that
-- has run out is that of a process that ended while it worked. The last condition reads finished_at
-- and not status: with status, Postgres may look each id up in the index of open deliveries. It then
-- reads that whole index for each id, if the index was empty when Postgres made the plan.
UPDATE webhook_delivery w
SET status = 'Working', claimed_by = @worker, lease_until = now() + @lease::interval, attempts = w.attempts + 1
WHERE w.id IN (
    SELECT f.id FROM (
        SELECT DISTINCT ON (o.receiver_uid, o.repository) o.id, o.due_at, o.lease_until FROM webhook_delivery o
        WHERE o.status IN ('Received', 'Working') AND (cardinality(@namespaces::text[]) = 0 OR o.namespace = ANY(@namespaces::text[]))
        ORDER BY o.receiver_uid, o.repository, o.id
    ) f
    WHERE f.due_at <= now() AND (f.lease_until IS NULL OR f.lease_until < now())
    ORDER BY f.id
    LIMIT @most)
  AND w.finished_at IS NULL AND w.due_at <= now() AND (w.lease_until IS NULL OR w.lease_until < now())
RETURNING w.*;

-- name: ClaimNextDelivery :many
-- Takes the first that is open of one receiver and repository, where it is due. It reads no other
-- repository's, of which there may be thousands.
UPDATE webhook_delivery w
SET status = 'Working', claimed_by = @worker, lease_until = now() + @lease::interval, attempts = w.attempts + 1
WHERE w.id = (
    SELECT o.id FROM webhook_delivery o
    WHERE o.receiver_uid = @receiver_uid AND o.repository = @repository AND o.status IN ('Received', 'Working')
    ORDER BY o.id LIMIT 1)
  AND w.finished_at IS NULL AND w.due_at <= now() AND (w.lease_until IS NULL OR w.lease_until < now())
RETURNING w.*;

-- name: FinishDelivery :execrows
-- claimed_by is empty unless the status is Working, so that the worker's name implies the status.
UPDATE webhook_delivery
SET status = @status, outcome = @outcome, message = @message, finished_at = now(), lease_until = NULL, claimed_by = ''
WHERE id = @id AND claimed_by = @worker AND attempts = @attempts;

-- name: RetryDelivery :execrows
UPDATE webhook_delivery
SET status = 'Received', message = @message, due_at = now() + @delay::interval, lease_until = NULL, claimed_by = ''
WHERE id = @id AND claimed_by = @worker AND attempts = @attempts;

-- name: ReleaseDeliveries :exec
-- Gives back what the leader before was working on when it ended. Where that one only stood still,
-- it finds that its delivery is not its own any more, and the build of the same name.
UPDATE webhook_delivery SET status = 'Received', lease_until = NULL, claimed_by = ''
WHERE status = 'Working' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]));

-- name: OpenDeliveries :one
SELECT count(*) AS open, COALESCE(EXTRACT(epoch FROM now() - min(received_at)), 0)::float8 AS oldest_seconds
FROM webhook_delivery WHERE status IN ('Received', 'Working') AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]));

-- name: Redeliver :many
-- Has a delivery worked off again, as one of its own, or finds the one that was made by the same
-- token before.
INSERT INTO webhook_delivery (receiver_uid, namespace, receiver, delivery_id, origin, body_hash, type, event, headers, body, repository, redelivery_of)
SELECT d.receiver_uid, d.namespace, d.receiver, 'redelivery ' || @token::text, d.origin, d.body_hash, d.type, d.event, d.headers, d.body, d.repository, d.id
FROM webhook_delivery d WHERE d.id = @id AND d.namespace = @namespace
ON CONFLICT (receiver_uid, delivery_id) DO UPDATE SET redelivery_of = webhook_delivery.redelivery_of
RETURNING id;

-- name: ViewDeliveries :many
-- The newest first, without their bodies.
SELECT d.id, d.receiver, d.delivery_id, d.type, d.event, d.repository, d.received_at, d.repeats, d.status, d.outcome, d.message, d.attempts, d.due_at, d.finished_at,
       COALESCE(d.redelivery_of, 0)::bigint AS redelivery_of
FROM webhook_delivery d
WHERE d.namespace = @namespace AND d.id < @before_id::bigint
  AND (@receiver::text = '' OR d.receiver = @receiver::text)
  AND (NOT @failed::boolean OR d.status = 'Failed')
ORDER BY d.id DESC
LIMIT @most;

-- name: ViewDelivery :many
SELECT d.* FROM webhook_delivery d WHERE d.id = @id AND d.namespace = @namespace;

-- name: PruneDeliveries :one
-- Deliveries that are worked off.
WITH page AS (
    SELECT d.id, d.namespace, d.status, d.received_at FROM webhook_delivery d WHERE d.id > @after::bigint ORDER BY d.id LIMIT @most::bigint
), gone AS (
    DELETE FROM webhook_delivery WHERE webhook_delivery.id IN (
        SELECT p.id FROM page p
        WHERE p.received_at < now() - @age::interval AND p.status IN ('Done', 'Failed') AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[])))
    RETURNING webhook_delivery.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted,
    (count(*) = @most::bigint AND max(p.received_at) < now() - @age::interval)::boolean AS more
FROM page p;
