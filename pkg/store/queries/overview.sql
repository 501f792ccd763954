-- The applications of many namespaces in one list, for a page that begins with what fails.
-- Nothing here writes or locks. An application is that of the object, or its name.

-- name: ViewOverview :many
-- A page of the applications that match, by their state and name, and how many match in each
-- state whatever the state that is asked for: the figures stand in each row, and in a row of
-- their own where the page is empty. The state is that of the newest run of each CdPipeline
-- and the newest build of each CiPipeline, by pointers, and of what waits in any run, so that the
-- cost is that of the pipelines and not of their history.
WITH cd AS (
    SELECT p.namespace, COALESCE(NULLIF(p.application, ''), p.pipeline) AS application, count(*) AS pipelines,
           count(*) FILTER (WHERE w.outcome IN ('Failed', 'Error')) AS failed,
           count(*) FILTER (WHERE w.outcome = 'Succeeded') AS succeeded,
           count(*) FILTER (WHERE w.id IS NOT NULL AND w.outcome IS NULL AND NOT s.held) AS active,
           count(*) FILTER (WHERE s.held) AS waiting,
           array_agg(DISTINCT p.environment ORDER BY p.environment) FILTER (WHERE p.environment <> '') AS environments
    FROM cd_pipeline p
    LEFT JOIN cd_workflow w ON w.id = p.last_run_id
    LEFT JOIN LATERAL (
        SELECT EXISTS (SELECT 1 FROM task t
                       WHERE t.owner_uid = p.pipeline_uid AND t.kind = 'cd' AND t.status = 'Held' AND t.reason NOT IN ('StageBefore', 'StageBeforeFailed')) AS held
    ) s ON true
    WHERE p.deleted_at IS NULL AND (@all_namespaces::boolean OR p.namespace = ANY(@namespaces::text[]))
    GROUP BY 1, 2
), ci AS (
    SELECT p.namespace, COALESCE(NULLIF(p.application, ''), p.pipeline) AS application, count(*) AS pipelines,
           count(*) FILTER (WHERE b.phase IN ('Failed', 'Error')) AS failed,
           count(*) FILTER (WHERE b.phase IN ('Pending', 'Running')) AS active,
           (array_agg(b.build_uid ORDER BY b.seq DESC NULLS LAST))[1] AS build_uid
    FROM ci_pipeline p
    LEFT JOIN LATERAL (
        SELECT build_uid, phase, seq FROM ci_build WHERE namespace = p.namespace AND ci_pipeline = p.pipeline ORDER BY seq DESC LIMIT 1
    ) b ON true
    WHERE p.deleted_at IS NULL AND (@all_namespaces::boolean OR p.namespace = ANY(@namespaces::text[]))
    GROUP BY 1, 2
), application AS (
    SELECT COALESCE(cd.namespace, ci.namespace) AS namespace, COALESCE(cd.application, ci.application) AS application, COALESCE(ci.pipelines, 0) AS ci_pipelines, COALESCE(cd.pipelines, 0) AS cd_pipelines,
           COALESCE(cd.failed, 0) AS failed, COALESCE(cd.waiting, 0) AS waiting, COALESCE(cd.active, 0) AS active, COALESCE(cd.succeeded, 0) AS succeeded,
           COALESCE(ci.build_uid, '') AS build_uid, COALESCE(cd.environments, '{}') AS environments,
           CASE WHEN COALESCE(cd.failed, 0) + COALESCE(ci.failed, 0) > 0 THEN 1
                WHEN COALESCE(cd.waiting, 0) > 0 THEN 2
                WHEN COALESCE(cd.active, 0) + COALESCE(ci.active, 0) > 0 THEN 3
                WHEN COALESCE(cd.succeeded, 0) > 0 OR COALESCE(ci.build_uid, '') <> '' THEN 4
                ELSE 5 END AS rank
    FROM cd FULL JOIN ci ON ci.namespace = cd.namespace AND ci.application = cd.application
), matching AS (
    SELECT * FROM application
    WHERE (@search::text = '' OR position(lower(@search::text) IN lower(namespace || '/' || application)) > 0)
      AND (@environment::text = '' OR @environment::text = ANY(environments))
), figures AS (
    SELECT count(*) FILTER (WHERE rank = 1) AS all_failing, count(*) FILTER (WHERE rank = 2) AS all_waiting, count(*) FILTER (WHERE rank = 3) AS all_active,
           count(*) FILTER (WHERE rank = 4) AS all_ok, count(*) FILTER (WHERE rank = 5) AS all_new
    FROM matching
), page AS (
    SELECT * FROM matching
    WHERE (@rank::integer = 0 OR rank = @rank::integer)
      AND (rank, namespace, application) > (@after_rank::integer, @after_namespace::text, @after_application::text)
    ORDER BY rank, namespace, application
    LIMIT @most
)
SELECT f.all_failing::bigint AS all_failing, f.all_waiting::bigint AS all_waiting, f.all_active::bigint AS all_active, f.all_ok::bigint AS all_ok, f.all_new::bigint AS all_new,
       COALESCE(p.namespace, '')::text AS namespace, COALESCE(p.application, '')::text AS application, COALESCE(p.rank, 0)::integer AS rank,
       COALESCE(p.ci_pipelines, 0)::bigint AS ci_pipelines, COALESCE(p.cd_pipelines, 0)::bigint AS cd_pipelines, COALESCE(p.failed, 0)::bigint AS failed,
       COALESCE(p.waiting, 0)::bigint AS waiting, COALESCE(p.active, 0)::bigint AS active, COALESCE(p.succeeded, 0)::bigint AS succeeded,
       COALESCE(p.build_uid, '')::text AS build_uid, COALESCE(p.environments, '{}')::text[] AS environments
FROM figures f LEFT JOIN page p ON true
ORDER BY p.rank, p.namespace, p.application;
