-- name: BuildSummaries :many
-- A run is held where its stage is, whatever came before; else it is as far as its
-- furthest stage. A stage that is tried again has had a Workflow. A run that has ended no
-- longer counts where its artifact was run again in its pipeline: the newer run does.
SELECT b.build_uid, b.namespace, b.build_name,
       count(w.id) AS total,
       count(w.id) FILTER (WHERE w.outcome IS NULL AND s.held = 0 AND s.submitted = 0 AND s.waiting > 0) AS pending,
       count(w.id) FILTER (WHERE w.outcome IS NULL AND s.held > 0) AS held,
       count(w.id) FILTER (WHERE w.outcome IS NULL AND s.held = 0 AND s.submitted > 0 AND s.started = 0) AS submitted,
       count(w.id) FILTER (WHERE w.outcome IS NULL AND s.held = 0 AND (s.started > 0 OR (s.submitted = 0 AND s.waiting = 0))) AS running,
       count(w.id) FILTER (WHERE w.outcome = 'Succeeded') AS succeeded,
       count(w.id) FILTER (WHERE w.outcome IN ('Failed', 'Error')) AS failed,
       count(w.id) FILTER (WHERE w.outcome = 'Cancelled') AS cancelled,
       count(w.id) FILTER (WHERE w.outcome = 'Superseded') AS superseded,
       count(w.id) FILTER (WHERE s.submitted > 0) AS triggered,
       (SELECT count(*) FROM (
            SELECT FROM trigger_decision d WHERE d.build_uid = b.build_uid
            GROUP BY d.pipeline_uid HAVING bool_and(d.outcome IN ('Skipped', 'Blocked'))) untouched) AS skipped
FROM ci_build b
LEFT JOIN cd_workflow w ON w.build_uid = b.build_uid AND (w.outcome IS NULL OR NOT EXISTS (
    SELECT FROM cd_workflow n WHERE n.ci_artifact_id = w.ci_artifact_id AND n.pipeline_uid = w.pipeline_uid AND n.run > w.run))
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE t.submitted_at IS NOT NULL OR r.attempt > 1) AS submitted,
           count(*) FILTER (WHERE t.started_at IS NOT NULL OR r.attempt > 1) AS started,
           count(*) FILTER (WHERE t.status IN ('Pending', 'Submitting')) AS waiting,
           count(*) FILTER (WHERE t.status = 'Held' AND t.reason <> 'StageBefore') AS held
    FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = w.id
) s ON true
WHERE b.build_uid = ANY(@build_uids::text[]) AND b.planned_at IS NOT NULL
GROUP BY b.build_uid;

-- name: BuildDecisions :many
-- What was decided below the builds, counted, with the first few names of each kind. Each
-- pipeline counts once, by what counts most of what was decided for its artifacts.
SELECT best.build_uid, best.outcome, best.reason::text AS reason, count(*) AS pipelines,
       (array_agg(best.pipeline ORDER BY best.pipeline))[1:5]::text[] AS examples
FROM (
    SELECT DISTINCT ON (d.build_uid, d.pipeline_uid) d.build_uid, d.pipeline, d.outcome,
           CASE d.outcome WHEN 'Triggered' THEN 'Triggered' ELSE d.reason END AS reason
    FROM trigger_decision d
    WHERE d.build_uid = ANY(@build_uids::text[])
    ORDER BY d.build_uid, d.pipeline_uid, array_position(ARRAY['Triggered', 'Waiting', 'Blocked', 'Skipped'], d.outcome), d.id
) best
GROUP BY best.build_uid, best.outcome, best.reason
ORDER BY best.build_uid, best.outcome DESC, best.reason;

-- name: FailedRuns :many
-- Runs of the builds that ended badly, and why; the first few of each build, those that
-- failed before those that somebody or a newer build ended. Those that were run again are
-- left out.
SELECT build_uid, pipeline, stage, status, reason, message
FROM (
    SELECT w.build_uid, w.pipeline, r.stage, t.status, t.reason, t.message,
           row_number() OVER (PARTITION BY w.build_uid ORDER BY t.status IN ('Failed', 'Error') DESC, t.id) AS place
    FROM cd_workflow w
    JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
    JOIN task t ON t.id = r.task_id
    WHERE w.build_uid = ANY(@build_uids::text[])
      AND t.status IN ('Failed', 'Error', 'Cancelled', 'Superseded') AND t.reason <> 'StageBeforeFailed'
      AND (w.outcome IS NULL OR NOT EXISTS (
          SELECT FROM cd_workflow n WHERE n.ci_artifact_id = w.ci_artifact_id AND n.pipeline_uid = w.pipeline_uid AND n.run > w.run))
) failed
WHERE place <= @most_each::bigint
ORDER BY build_uid, place;

-- name: HeldRuns :many
-- What the builds' runs are held by, counted, with the first few names of each kind; those
-- whose Workflow nobody takes up; and those of which a stage is to be tried again, with the
-- time of the first.
SELECT w.build_uid, (CASE t.status WHEN 'Pending' THEN 'Retry' ELSE t.reason END)::text AS reason, count(*) AS runs,
       (array_agg(DISTINCT w.pipeline))[1:5]::text[] AS examples,
       GREATEST(min(t.available_at) FILTER (WHERE t.status = 'Pending'), 'epoch')::timestamptz AS next_at
FROM cd_workflow w
JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
JOIN task t ON t.id = r.task_id
WHERE w.build_uid = ANY(@build_uids::text[]) AND w.outcome IS NULL
  AND ((t.status = 'Held' AND t.reason <> 'StageBefore') OR (t.status = 'Submitted' AND t.reason = 'NotTakenUp')
    OR (t.status = 'Pending' AND r.attempt > 1 AND t.reason = '' AND t.delayed_by = ''))
GROUP BY w.build_uid, 2
ORDER BY w.build_uid, 2;

-- name: DelayedRuns :many
-- What delays the builds' runs, counted, with the first few names of each kind; the last
-- refusal of those that were tried, and when the first of them is tried again. Where nothing is
-- triggered in their cluster, that is why.
SELECT w.build_uid, t.namespace, (CASE WHEN c.cluster IS NOT NULL THEN 'LaneShut' WHEN t.delayed_by <> '' THEN t.delayed_by ELSE t.reason END)::text AS reason,
       count(*) AS runs, (array_agg(DISTINCT w.pipeline))[1:5]::text[] AS examples,
       COALESCE((array_agg(t.message ORDER BY t.changed_at DESC) FILTER (WHERE t.message <> ''))[1], '')::text AS message,
       t.cluster, COALESCE(c.reason, '')::text AS shut_reason, COALESCE(c.message, '')::text AS shut_message, COALESCE(c.since, 'epoch')::timestamptz AS shut_since,
       max(t.failures)::integer AS failures,
       COALESCE(min(t.available_at) FILTER (WHERE t.available_at > now()), 'epoch')::timestamptz AS next_at
FROM cd_workflow w
JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
JOIN task t ON t.id = r.task_id
LEFT JOIN cluster_lane c ON c.cluster = t.cluster AND c.reason <> ''
WHERE w.build_uid = ANY(@build_uids::text[]) AND w.outcome IS NULL AND t.status = 'Pending' AND (t.delayed_by <> '' OR t.reason <> '' OR c.cluster IS NOT NULL)
GROUP BY w.build_uid, t.namespace, 3, t.cluster, c.reason, c.message, c.since
ORDER BY w.build_uid, 3, t.cluster;

-- name: WaitingBuilds :many
-- The builds of the first tasks of the queue.
SELECT DISTINCT h.namespace, (h.inputs->>'build')::text AS build_name
FROM (SELECT namespace, inputs FROM task
      WHERE status = 'Pending' AND delayed_by = '' AND kind = 'cd' AND cluster = '' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
      ORDER BY priority DESC, fair_at, id
      LIMIT @head) h;

-- name: HeldBackPipelines :many
-- The pipelines of the first tasks of the queue.
SELECT DISTINCT h.namespace, h.owner_name
FROM (SELECT namespace, owner_name FROM task
      WHERE status = 'Pending' AND delayed_by = '' AND kind = 'cd' AND cluster = '' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
      ORDER BY priority DESC, fair_at, id
      LIMIT @head) h;

-- name: LastRuns :many
-- The newest run of each pipeline, at its furthest stage that was reached; how the attempt
-- before ended; and, where it waits for its turn, the build that has its turn.
SELECT p.pipeline_uid, w.id AS run_id, a.build_name, a.image, a.digest, l.stage, l.status, l.reason, l.message, l.workflow_name, l.submitted_at, l.changed_at, l.delayed_by, l.failures,
       GREATEST(l.available_at, 'epoch')::timestamptz AS available_at, l.stage_attempt, l.attempt_before, COALESCE(h.build_name, '')::text AS turn_of,
       l.cluster, COALESCE(c.reason, '')::text AS shut_reason, COALESCE(c.message, '')::text AS shut_message, COALESCE(c.since, 'epoch')::timestamptz AS shut_since
FROM cd_pipeline p
JOIN cd_workflow w ON w.id = p.last_run_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN LATERAL (
    SELECT r.stage, t.status, t.reason, t.message, t.workflow_name, t.submitted_at, t.changed_at, t.delayed_by, t.failures, t.available_at, t.cluster,
           r.attempt AS stage_attempt, COALESCE(t.inputs->>'before', '')::text AS attempt_before
    FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
    WHERE r.cd_workflow_id = w.id AND t.reason NOT IN ('StageBefore', 'StageBeforeFailed')
    ORDER BY r.id DESC
    LIMIT 1
) l ON true
LEFT JOIN LATERAL (
    SELECT b.build_name FROM turn u JOIN ci_build b ON b.build_uid = u.build_uid
    WHERE l.status = 'Held' AND l.reason = 'Turn' AND u.pipeline_uid = p.pipeline_uid AND u.state = 'Active'
    ORDER BY u.id
    LIMIT 1
) h ON true
LEFT JOIN cluster_lane c ON c.cluster = l.cluster AND c.reason <> ''
WHERE p.pipeline_uid = ANY(@pipeline_uids::text[]);

-- name: DeployedArtifacts :many
SELECT pipeline_uid, image, digest, build_name, at
FROM (SELECT d.*, row_number() OVER (PARTITION BY pipeline_uid ORDER BY at DESC, repository) AS place
      FROM deployed d WHERE pipeline_uid = ANY(@pipeline_uids::text[])) newest
WHERE place <= @most_each::bigint
ORDER BY pipeline_uid, place;

-- name: LastDecisions :many
-- What the last build that was planned came to for each pipeline: that it runs, where
-- it does for any artifact. A decision keeps its id when it is settled anew, so that
-- the ids are in the order of the builds: the walk ends at the build before.
WITH RECURSIVE newest AS (
    SELECT f.id, f.pipeline_uid, f.build_uid, f.build_name, f.outcome, f.reason, f.message, f.decided_at
    FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid) p CROSS JOIN LATERAL (
        SELECT d.id, d.pipeline_uid, d.build_uid, d.build_name, d.outcome, d.reason, d.message, d.decided_at
        FROM trigger_decision d WHERE d.pipeline_uid = p.pipeline_uid ORDER BY d.id DESC LIMIT 1
    ) f
    UNION ALL
    SELECT b.id, b.pipeline_uid, b.build_uid, b.build_name, b.outcome, b.reason, b.message, b.decided_at
    FROM newest n CROSS JOIN LATERAL (
        SELECT d.id, d.pipeline_uid, d.build_uid, d.build_name, d.outcome, d.reason, d.message, d.decided_at
        FROM trigger_decision d WHERE d.pipeline_uid = n.pipeline_uid AND d.id < n.id ORDER BY d.id DESC LIMIT 1
    ) b
    WHERE b.build_uid = n.build_uid
)
SELECT DISTINCT ON (pipeline_uid) pipeline_uid, build_name, outcome, reason, message, decided_at FROM newest
ORDER BY pipeline_uid, array_position(ARRAY['Triggered', 'Waiting', 'Blocked', 'Skipped'], outcome), id DESC;
