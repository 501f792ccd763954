-- name: EventHorizon :one
-- Every event of a transaction below this is visible; none will be added.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text;

-- name: EventsAfter :many
-- Follows the events in an order in which none is missed: an event is shown once every
-- transaction that may still write an earlier one has ended. The order is that of the
-- column xid, not of its text.
SELECT xid::text AS xid, id, namespace, build_name, pipeline
FROM event
WHERE (event.xid, event.id) > ((@after_xid::text)::xid8, @after_id::bigint)
  AND event.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY event.xid, event.id
LIMIT @most;

-- name: EventDelay :one
-- For how many seconds events wait to be told, since a transaction that began before them is
-- open somewhere on the server.
SELECT COALESCE(EXTRACT(EPOCH FROM now() - min(at)), 0)::float8 AS seconds FROM event
WHERE event.xid >= pg_snapshot_xmin(pg_current_snapshot());
