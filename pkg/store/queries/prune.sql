-- History that ends. Each query looks at one page of a table in the order of its ids,
-- after the one given, and deletes what is older than the age, of the namespaces that are
-- watched. It returns the last id that it looked at, how many rows it deleted, and whether
-- the page was full and its last row old: only then can there be more. All name their
-- parameters in the same order, so that one function calls them.
--
-- A build whose CiBuild exists keeps its rows, and so does a pipeline that exists keep its
-- last run, the runs of the build that it deployed last, and of the one that a rollback goes
-- back to, which is looked for among the 200 turns before.

-- name: PruneEvents :one
WITH page AS (
    SELECT e.id, e.at, e.namespace FROM event e WHERE e.id > @after::bigint ORDER BY e.id LIMIT @most::bigint
), gone AS (
    DELETE FROM event WHERE event.id IN (
        SELECT p.id FROM page p
        WHERE p.at < now() - @age::interval AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[])))
    RETURNING event.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted,
    (count(*) = @most::bigint AND max(p.at) < now() - @age::interval)::boolean AS more
FROM page p;

-- name: PruneClusterEvents :one
-- Changes of the health of clusters, which belong to no namespace, but for each cluster's last.
WITH page AS (
    SELECT e.id, e.cluster_uid, e.occurred_at FROM cluster_event e WHERE e.id > @after::bigint ORDER BY e.id LIMIT @most::bigint
), gone AS (
    DELETE FROM cluster_event WHERE cluster_event.id IN (
        SELECT p.id FROM page p
        WHERE p.occurred_at < now() - @age::interval
          AND EXISTS (SELECT FROM cluster_event n WHERE n.cluster_uid = p.cluster_uid AND n.id > p.id))
    RETURNING cluster_event.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted,
    (count(*) = @most::bigint AND max(p.occurred_at) < now() - @age::interval)::boolean AS more
FROM page p;

-- name: PruneDeployed :one
-- What pipelines that are gone had deployed.
WITH page AS (
    SELECT d.run_id, d.pipeline_uid, d.repository, d.at < now() - @age::interval AS is_old FROM deployed d WHERE d.run_id > @after::bigint ORDER BY d.run_id LIMIT @most::bigint
), gone AS (
    DELETE FROM deployed d USING page g, cd_pipeline p
    WHERE d.pipeline_uid = g.pipeline_uid AND d.repository = g.repository AND p.pipeline_uid = g.pipeline_uid AND g.is_old
      AND p.deleted_at < now() - @age::interval AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[]))
    RETURNING d.run_id
)
SELECT COALESCE(max(p.run_id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted, (count(*) = @most::bigint)::boolean AS more
FROM page p;

-- name: PruneRuns :one
-- Runs that have ended, with their stages and the tasks of these.
WITH page AS (
    SELECT w.id, w.namespace, w.pipeline_uid, w.build_uid, w.outcome, w.created_at, w.finished_at
    FROM cd_workflow w WHERE w.id > @after::bigint ORDER BY w.id LIMIT @most::bigint
), keep AS MATERIALIZED (
    SELECT d.pipeline_uid, p.last_run_id, n.build_uid AS deployed, r.build_uid AS rollback
    FROM (SELECT DISTINCT page.pipeline_uid FROM page) d
    JOIN cd_pipeline p ON p.pipeline_uid = d.pipeline_uid AND (p.deleted_at IS NULL OR p.deleted_at > now() - @age::interval)
    -- As DeployedBuild finds it.
    LEFT JOIN LATERAL (
        SELECT t.build_uid, t.built_at, t.build_seq
        FROM deployed f JOIN cd_workflow w ON w.id = f.run_id JOIN turn t ON t.id = w.turn_id
        WHERE f.pipeline_uid = d.pipeline_uid ORDER BY f.at DESC LIMIT 1
    ) n ON true
    -- Where POST has failed ever since, all turns would be read.
    LEFT JOIN LATERAL (
        SELECT t.build_uid FROM (
            SELECT t.id, t.build_uid, t.built_at, t.build_seq FROM turn t
            WHERE n.build_uid IS NOT NULL AND t.pipeline_uid = d.pipeline_uid AND (t.built_at, t.build_seq) < (n.built_at, n.build_seq)
            ORDER BY t.built_at DESC, t.build_seq DESC LIMIT 200
        ) t
        WHERE EXISTS (SELECT FROM cd_workflow w WHERE w.turn_id = t.id AND w.outcome = 'Succeeded')
        ORDER BY t.built_at DESC, t.build_seq DESC LIMIT 1
    ) r ON true
), old AS MATERIALIZED (
    SELECT p.id FROM page p
    JOIN ci_build c ON c.build_uid = p.build_uid AND c.deleted_at < now() - @age::interval
    LEFT JOIN keep k ON k.pipeline_uid = p.pipeline_uid
    WHERE p.outcome IS NOT NULL AND p.finished_at < now() - @age::interval
      AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[]))
      AND (k.pipeline_uid IS NULL OR (p.id IS DISTINCT FROM k.last_run_id
          AND p.build_uid IS DISTINCT FROM k.deployed AND p.build_uid IS DISTINCT FROM k.rollback))
      AND NOT EXISTS (SELECT FROM deployed d WHERE d.run_id = p.id)
      AND NOT EXISTS (
          SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
          WHERE r.cd_workflow_id = p.id AND (t.settled_at IS NULL AND t.reason <> 'StageBeforeFailed' OR t.finished_at > now() - @age::interval
              OR t.status IN ('Held', 'Pending', 'Submitting', 'Submitted', 'Running')))
), stages AS (
    DELETE FROM cd_workflow_runner WHERE cd_workflow_id IN (SELECT old.id FROM old) RETURNING task_id
), tasks AS (
    DELETE FROM task WHERE task.id IN (SELECT stages.task_id FROM stages) RETURNING task.id
), runs AS (
    DELETE FROM cd_workflow WHERE cd_workflow.id IN (SELECT old.id FROM old) RETURNING cd_workflow.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last,
    ((SELECT count(*) FROM stages) + (SELECT count(*) FROM tasks) + (SELECT count(*) FROM runs))::bigint AS deleted,
    (count(*) = @most::bigint AND max(p.created_at) < now() - @age::interval)::boolean AS more
FROM page p;

-- name: PruneTasks :one
-- Tasks that no stage points to, since it was tried again, and whose run is gone; and those of
-- builds, as long as their CiBuild does not exist.
WITH page AS (
    SELECT t.id, t.namespace, t.inputs, t.created_at,
           (t.settled_at IS NOT NULL AND t.finished_at < now() - @age::interval
               AND t.status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')) AS is_old
    FROM task t WHERE t.id > @after::bigint ORDER BY t.id LIMIT @most::bigint
), gone AS (
    DELETE FROM task WHERE task.id IN (
        SELECT p.id FROM page p
        WHERE p.is_old AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[]))
          AND NOT EXISTS (SELECT FROM cd_workflow_runner r WHERE r.task_id = p.id)
          AND NOT EXISTS (SELECT FROM cd_workflow w WHERE w.id = (p.inputs->>'run')::bigint)
          AND NOT EXISTS (SELECT FROM ci_build b WHERE b.build_uid = p.inputs->>'build_uid' AND b.deleted_at IS NULL))
    RETURNING task.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted,
    (count(*) = @most::bigint AND max(p.created_at) < now() - @age::interval)::boolean AS more
FROM page p;

-- name: PruneDecisions :one
-- All but those of the last build that was decided on for a pipeline that exists.
WITH page AS (
    SELECT d.id, d.namespace, d.build_uid, d.pipeline_uid, d.decided_at < now() - @age::interval AS is_old FROM trigger_decision d
    WHERE d.id > @after::bigint ORDER BY d.id LIMIT @most::bigint
), keep AS MATERIALIZED (
    SELECT u.pipeline_uid, l.build_uid
    FROM (SELECT DISTINCT page.pipeline_uid FROM page) u
    JOIN cd_pipeline p ON p.pipeline_uid = u.pipeline_uid AND (p.deleted_at IS NULL OR p.deleted_at > now() - @age::interval)
    JOIN LATERAL (SELECT d.build_uid FROM trigger_decision d WHERE d.pipeline_uid = u.pipeline_uid ORDER BY d.id DESC LIMIT 1) l ON true
), gone AS (
    DELETE FROM trigger_decision WHERE trigger_decision.id IN (
        SELECT p.id FROM page p
        JOIN ci_build c ON c.build_uid = p.build_uid AND c.deleted_at < now() - @age::interval
        LEFT JOIN keep k ON k.pipeline_uid = p.pipeline_uid AND k.build_uid = p.build_uid
        WHERE k.pipeline_uid IS NULL AND p.is_old
          AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[])))
    RETURNING trigger_decision.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted, (count(*) = @most::bigint)::boolean AS more
FROM page p;

-- name: PruneTurns :one
-- Turns that are over and have no run any more.
WITH page AS (
    SELECT t.id, t.build_uid, t.state, t.created_at, t.ended_at FROM turn t WHERE t.id > @after::bigint ORDER BY t.id LIMIT @most::bigint
), gone AS (
    DELETE FROM turn WHERE turn.id IN (
        SELECT p.id FROM page p
        JOIN ci_build c ON c.build_uid = p.build_uid AND c.deleted_at < now() - @age::interval
        WHERE p.state IN ('Ended', 'Superseded') AND COALESCE(p.ended_at, p.created_at) < now() - @age::interval
          AND (cardinality(@namespaces::text[]) = 0 OR c.namespace = ANY(@namespaces::text[]))
          AND NOT EXISTS (SELECT FROM cd_workflow w WHERE w.turn_id = p.id))
    RETURNING turn.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted,
    (count(*) = @most::bigint AND max(p.created_at) < now() - @age::interval)::boolean AS more
FROM page p;

-- name: PruneArtifacts :one
-- Artifacts that no run was made of, or of which no run is left.
WITH page AS (
    SELECT a.id, a.build_uid, a.namespace, a.created_at FROM ci_artifact a WHERE a.id > @after::bigint ORDER BY a.id LIMIT @most::bigint
), gone AS (
    DELETE FROM ci_artifact WHERE ci_artifact.id IN (
        SELECT p.id FROM page p
        JOIN ci_build c ON c.build_uid = p.build_uid AND c.deleted_at < now() - @age::interval
        WHERE (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[]))
          AND NOT EXISTS (SELECT FROM cd_workflow w WHERE w.build_uid = p.build_uid))
    RETURNING ci_artifact.id
)
SELECT COALESCE(max(p.id), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted,
    (count(*) = @most::bigint AND max(p.created_at) < now() - @age::interval)::boolean AS more
FROM page p;

-- name: PruneBuilds :one
-- Builds of which nothing is left.
WITH page AS (
    SELECT b.seq, b.build_uid, b.namespace, b.deleted_at < now() - @age::interval AS is_old FROM ci_build b WHERE b.seq > @after::bigint ORDER BY b.seq LIMIT @most::bigint
), gone AS (
    DELETE FROM ci_build WHERE ci_build.build_uid IN (
        SELECT p.build_uid FROM page p
        WHERE p.is_old AND (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[]))
          AND NOT EXISTS (SELECT FROM cd_workflow w WHERE w.build_uid = p.build_uid)
          AND NOT EXISTS (SELECT FROM ci_artifact a WHERE a.build_uid = p.build_uid)
          AND NOT EXISTS (SELECT FROM turn t WHERE t.build_uid = p.build_uid)
          AND NOT EXISTS (SELECT FROM trigger_decision d WHERE d.build_uid = p.build_uid))
    RETURNING ci_build.seq
)
SELECT COALESCE(max(p.seq), 0)::bigint AS last, (SELECT count(*) FROM gone) AS deleted, (count(*) = @most::bigint)::boolean AS more
FROM page p;

-- name: PruneWaves :one
-- Waves that have ended, and with them their items, but for the newest of an image that exists,
-- which is part of its status. What is deleted is not looked at again, so every page is the first.
WITH gone AS (
    DELETE FROM wave WHERE (image_uid, number) IN (
        SELECT w.image_uid, w.number FROM wave w JOIN base_image b ON b.image_uid = w.image_uid
        WHERE w.ended_at < now() - @age::interval AND (w.number <> b.wave OR b.deleted_at < now() - @age::interval) AND @after::bigint >= 0
          AND (cardinality(@namespaces::text[]) = 0 OR b.namespace = ANY(@namespaces::text[]))
        ORDER BY w.ended_at LIMIT @most::bigint)
    RETURNING number
)
SELECT 0::bigint AS last, count(*) AS deleted, (count(*) = @most::bigint)::boolean AS more FROM gone;

-- name: PruneBaseImages :one
-- Images that are gone, and of which no wave is left but such as nobody can let go on any more.
WITH gone AS (
    DELETE FROM base_image WHERE image_uid IN (
        SELECT b.image_uid FROM base_image b
        WHERE b.deleted_at < now() - @age::interval AND @after::bigint >= 0
          AND NOT EXISTS (SELECT FROM wave w WHERE w.image_uid = b.image_uid AND w.ended_at IS NOT NULL)
          AND (cardinality(@namespaces::text[]) = 0 OR b.namespace = ANY(@namespaces::text[]))
        ORDER BY b.image_uid LIMIT @most::bigint)
    RETURNING image_uid
)
SELECT 0::bigint AS last, count(*) AS deleted, (count(*) = @most::bigint)::boolean AS more FROM gone;
