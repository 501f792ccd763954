-- name: BuildSummaries :many
SELECT b.build_uid, b.namespace, b.build_name,
       count(w.id) AS total,
       count(w.id) FILTER (WHERE w.outcome IS NULL AND s.submitted = 0 AND s.waiting > 0) AS pending,
       count(w.id) FILTER (WHERE w.outcome IS NULL AND s.submitted > 0 AND s.started = 0) AS submitted,
       count(w.id) FILTER (WHERE w.outcome IS NULL AND (s.started > 0 OR (s.submitted = 0 AND s.waiting = 0))) AS running,
       count(w.id) FILTER (WHERE w.outcome = 'Succeeded') AS succeeded,
       count(w.id) FILTER (WHERE w.outcome <> 'Succeeded') AS failed,
       count(w.id) FILTER (WHERE s.submitted > 0) AS triggered,
       (SELECT count(*) FROM (
            SELECT FROM trigger_decision d WHERE d.build_uid = b.build_uid
            GROUP BY d.pipeline_uid HAVING bool_and(d.outcome IN ('Skipped', 'Blocked'))) untouched) AS skipped
FROM ci_build b
LEFT JOIN ci_artifact a ON a.build_uid = b.build_uid
LEFT JOIN cd_workflow w ON w.ci_artifact_id = a.id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.submitted_at IS NOT NULL) AS submitted,
           count(*) FILTER (WHERE r.started_at IS NOT NULL) AS started,
           count(*) FILTER (WHERE r.status IN ('Pending', 'Submitting')) AS waiting
    FROM cd_workflow_runner r WHERE r.cd_workflow_id = w.id
) s ON true
WHERE b.build_uid = ANY(@build_uids::text[])
GROUP BY b.build_uid;

-- name: BuildDecisions :many
-- What was decided below the builds, counted, with the first few names of each kind.
-- What is triggered runs once for each artifact; all else is said once of a pipeline.
SELECT build_uid, outcome, reason,
       CASE outcome WHEN 'Triggered' THEN count(*) ELSE count(DISTINCT pipeline_uid) END::bigint AS pipelines,
       (array_agg(DISTINCT pipeline))[1:5]::text[] AS examples
FROM trigger_decision
WHERE build_uid = ANY(@build_uids::text[])
GROUP BY build_uid, outcome, reason
ORDER BY build_uid, outcome DESC, reason;

-- name: FailedRuns :many
-- Runs of the builds that ended badly, and why; the first few of each build.
SELECT build_uid, pipeline, stage, status, reason, message
FROM (
    SELECT a.build_uid, w.pipeline, r.stage, r.status, r.reason, r.message,
           row_number() OVER (PARTITION BY a.build_uid ORDER BY r.id) AS place
    FROM ci_artifact a
    JOIN cd_workflow w ON w.ci_artifact_id = a.id
    JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
    WHERE a.build_uid = ANY(@build_uids::text[])
      AND r.status IN ('Failed', 'Error', 'Cancelled', 'Superseded')
) failed
WHERE place <= @most_each::bigint
ORDER BY build_uid, place;

-- name: WaitingBuilds :many
-- The builds of the first rows of the queue.
SELECT DISTINCT a.namespace, a.build_name
FROM (SELECT cd_workflow_id FROM cd_workflow_runner
      WHERE status = 'Pending' AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
      ORDER BY priority DESC, fair_at, id
      LIMIT @head) h
JOIN cd_workflow w ON w.id = h.cd_workflow_id
JOIN ci_artifact a ON a.id = w.ci_artifact_id;

-- name: LastRuns :many
SELECT p.pipeline_uid::text AS pipeline_uid, l.build_name, l.image, l.digest, l.stage, l.status, l.reason, l.message, l.workflow_name, l.submitted_at, l.changed_at
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid) p
JOIN LATERAL (
    SELECT w.id, a.build_name, a.image, a.digest, r.stage, r.status, r.reason, r.message, r.workflow_name, r.submitted_at, r.changed_at
    FROM cd_workflow w
    JOIN ci_artifact a ON a.id = w.ci_artifact_id
    JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
    WHERE w.pipeline_uid = p.pipeline_uid
    ORDER BY w.id DESC, r.id DESC
    LIMIT 1
) l ON true;

-- name: LastDecisions :many
-- What the last build that was planned came to for each pipeline: that it runs, where
-- it does for any artifact. A decision keeps its id when it is settled anew, so that
-- the ids are in the order of the builds. A build has at most 256 artifacts.
SELECT p.pipeline_uid::text AS pipeline_uid, l.build_name, l.outcome, l.reason, l.message, l.decided_at
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid) p
JOIN LATERAL (
    SELECT n.build_name, n.outcome, n.reason, n.message, n.decided_at
    FROM (SELECT d.*, first_value(d.build_uid) OVER (ORDER BY d.id DESC) AS last_build
          FROM trigger_decision d
          WHERE d.pipeline_uid = p.pipeline_uid
          ORDER BY d.id DESC
          LIMIT 256) n
    WHERE n.build_uid = n.last_build
    ORDER BY array_position(ARRAY['Triggered', 'Waiting', 'Blocked', 'Skipped'], n.outcome), n.id DESC
    LIMIT 1
) l ON true;
