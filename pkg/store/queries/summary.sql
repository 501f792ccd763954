-- What kubectl penstock top and the dashboard show of the queue.

-- name: SummaryLanes :many
-- Each count goes by the partial index of its states.
SELECT l.kind, l.cluster, sum(l.held)::bigint AS held, sum(l.pending)::bigint AS pending, sum(l.submitting)::bigint AS submitting,
       sum(l.active)::bigint AS active, min(l.oldest)::timestamptz AS oldest
FROM (
    SELECT kind, cluster, count(*) AS held, 0 AS pending, 0 AS submitting, 0 AS active, NULL::timestamptz AS oldest FROM task
    WHERE status = 'Held' AND reason <> 'StageBefore' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) GROUP BY 1, 2
    UNION ALL
    SELECT kind, cluster, 0, count(*), 0, 0, min(queued_at) FROM task
    WHERE status = 'Pending' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) GROUP BY 1, 2
    UNION ALL
    SELECT kind, cluster, 0, 0, count(*), 0, NULL FROM task
    WHERE status = 'Submitting' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) GROUP BY 1, 2
    UNION ALL
    SELECT kind, cluster, 0, 0, 0, count(*), NULL FROM task
    WHERE status IN ('Submitted', 'Running') AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[])) GROUP BY 1, 2
) l
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: SummaryHeld :many
SELECT reason, count(*)::bigint AS tasks FROM task
WHERE status = 'Held' AND reason <> 'StageBefore' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[]))
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT @most;

-- name: SummaryOldest :many
-- Those that have waited longest, whatever their place in the queue. Of a task that is set
-- aside with its namespace the reason is that of the namespace.
SELECT id, kind, cluster, namespace, owner_name, inputs, status, CASE WHEN delayed_by <> '' THEN delayed_by ELSE reason END::text AS reason, message,
       priority, attempt, failures, workflow_name, queued_at, available_at, fair_at
FROM task
WHERE status = 'Pending' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[]))
ORDER BY queued_at, id
LIMIT @most;

-- name: SummaryActive :many
-- The Workflows that are there for the longest time: those that keep a backlog gate closed.
SELECT namespace, owner_name, workflow_name, COALESCE(submitted_at, created_at)::timestamptz AS since FROM task
WHERE status IN ('Submitted', 'Running') AND cluster = '' AND (@all_namespaces::boolean OR namespace = ANY(@namespaces::text[]))
ORDER BY COALESCE(submitted_at, created_at), id
LIMIT @most;

-- name: SummaryRates :many
-- Triggers of the last minute, or since the oldest of the events that are looked at, and how
-- long they were in the queue. So many events are looked at whatever happened.
WITH recent AS (
    SELECT event.at, event.task_id, event.kind, event.state, event.namespace FROM event ORDER BY event.xid DESC, event.id DESC LIMIT @scan
), span AS (
    SELECT CASE WHEN count(*) < @scan::integer THEN 60 ELSE LEAST(60, GREATEST(EXTRACT(EPOCH FROM now() - min(recent.at)), 1)) END::float8 AS seconds FROM recent
)
SELECT t.kind, t.cluster, (count(*) / min(s.seconds))::float8 AS per_second,
       COALESCE(percentile_cont(0.5) WITHIN GROUP (ORDER BY EXTRACT(EPOCH FROM t.submitted_at - t.queued_at)), 0)::float8 AS half,
       COALESCE(percentile_cont(0.99) WITHIN GROUP (ORDER BY EXTRACT(EPOCH FROM t.submitted_at - t.queued_at)), 0)::float8 AS most
FROM recent r JOIN task t ON t.id = r.task_id CROSS JOIN span s
WHERE r.kind = 'Task' AND r.state = 'Submitted' AND r.at > now() - interval '1 minute'
  AND (@all_namespaces::boolean OR r.namespace = ANY(@namespaces::text[]))
GROUP BY 1, 2;

-- name: SummaryFailed :many
-- Tasks that failed within a while, the newest first, among the newest events.
SELECT r.at, r.namespace, r.build_name, r.pipeline, r.stage, r.state, r.reason, r.message, count(*) OVER ()::bigint AS total
FROM (SELECT * FROM event ORDER BY event.xid DESC, event.id DESC LIMIT @scan) r
WHERE r.kind = 'Task' AND r.state IN ('Failed', 'Error') AND r.at > now() - @lately::interval
  AND (@all_namespaces::boolean OR r.namespace = ANY(@namespaces::text[]))
ORDER BY r.xid DESC, r.id DESC
LIMIT @most;

-- name: SummaryTrend :many
-- Triggers of the last @longest seconds, or since the oldest of the events that are looked at,
-- in buckets of the same length, the oldest first, and how long they were in the queue. So many
-- events are looked at whatever happened. A bucket is at least a second.
WITH recent AS (
    SELECT event.at, event.task_id, event.kind, event.state, event.namespace FROM event ORDER BY event.xid DESC, event.id DESC LIMIT @scan
), asked AS (
    SELECT @buckets::integer AS buckets, @longest::float8 AS longest, @scan::bigint AS scan
), span AS (
    SELECT a.buckets, LEAST(a.longest, CASE WHEN count(r.at) < a.scan THEN a.longest ELSE GREATEST(EXTRACT(EPOCH FROM now() - min(r.at)), a.buckets) END)::float8 AS seconds
    FROM asked a LEFT JOIN recent r ON true GROUP BY a.buckets, a.longest, a.scan
), triggered AS (
    SELECT floor(EXTRACT(EPOCH FROM now() - r.at) * s.buckets / s.seconds)::integer AS age, EXTRACT(EPOCH FROM t.submitted_at - t.queued_at)::float8 AS wait
    FROM recent r JOIN task t ON t.id = r.task_id CROSS JOIN span s
    WHERE r.kind = 'Task' AND r.state = 'Submitted' AND (@all_namespaces::boolean OR r.namespace = ANY(@namespaces::text[]))
), bucket AS (
    SELECT s.seconds, generate_series(0, s.buckets - 1) AS age FROM span s
)
SELECT b.seconds, count(t.age)::bigint AS triggers, COALESCE(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.wait), 0)::float8 AS half
FROM bucket b LEFT JOIN triggered t ON t.age = b.age
GROUP BY b.seconds, b.age
ORDER BY b.age DESC;
