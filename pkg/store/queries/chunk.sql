-- Plans that are committed in chunks. The rows of plan_pipeline are what is left of them.

-- name: BeginPlan :execrows
-- Notes a build whose plan is about to be committed in chunks, unless another build of its
-- CiPipeline is planned so just now.
INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, ref, cause, phase, created_at)
SELECT @build_uid::text, @namespace::text, @build_name::text, @ci_pipeline::text, @revision::text, @ref::text, @cause::text, @phase::text, @created_at::timestamptz
WHERE NOT EXISTS (
    SELECT FROM plan p
    WHERE p.build_uid = @build_uid OR (p.namespace = @namespace AND p.ci_pipeline = @ci_pipeline AND p.moved_at > now() - interval '1 minute'))
ON CONFLICT (build_uid) DO UPDATE
SET phase = excluded.phase, revision = excluded.revision, ref = excluded.ref, cause = excluded.cause, created_at = excluded.created_at
WHERE ci_build.planned_at IS NULL;

-- name: InsertPlan :execrows
INSERT INTO plan (build_uid, namespace, ci_pipeline, suspended) VALUES (@build_uid, @namespace, @ci_pipeline, @suspended)
ON CONFLICT DO NOTHING;

-- name: InsertPlanPipelines :exec
INSERT INTO plan_pipeline (build_uid, place, pipeline_uid, pipeline, generation, root_uid, root)
SELECT @build_uid::text, n.place, n.pipeline_uid, n.pipeline, n.generation, n.root_uid, n.root
FROM (SELECT unnest(@places::integer[]) AS place, unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@pipelines::text[]) AS pipeline,
             unnest(@generations::bigint[]) AS generation, unnest(@root_uids::text[]) AS root_uid, unnest(@roots::text[]) AS root) n;

-- name: OpenPlans :many
-- The plans that are under way, the one first that has waited longest, but for some.
SELECT p.build_uid, p.namespace, p.ci_pipeline, p.suspended, p.filter_cost,
       b.build_name, b.revision, b.ref, b.cause, b.phase, b.created_at,
       (SELECT count(*) FROM ci_artifact a WHERE a.build_uid = p.build_uid) AS artifacts
FROM plan p JOIN ci_build b ON b.build_uid = p.build_uid
WHERE (cardinality(@namespaces::text[]) = 0 OR p.namespace = ANY(@namespaces::text[])) AND p.build_uid <> ALL(@passed_over::text[])
ORDER BY p.moved_at, p.build_uid
LIMIT @most;

-- name: NextChunk :many
-- What comes next of a plan: children of the build, or what is further below.
SELECT n.place, n.pipeline_uid, n.pipeline, n.generation, n.root_uid, n.root
FROM plan_pipeline n
WHERE n.build_uid = @build_uid
  AND (n.root_uid = '') = (SELECT f.root_uid = '' FROM plan_pipeline f WHERE f.build_uid = @build_uid ORDER BY f.place LIMIT 1)
ORDER BY n.place
LIMIT @most;

-- name: LockPlan :one
-- Locks a plan and its build, which one that is committed as a whole locks as well. elapsed is
-- how long ago it began, in seconds.
SELECT p.runs, COALESCE(b.seq, 0)::bigint AS seq, b.created_at, EXTRACT(EPOCH FROM now() - p.began_at)::double precision AS elapsed,
       (b.planned_at IS NOT NULL)::boolean AS planned
FROM ci_build b JOIN plan p ON p.build_uid = b.build_uid
WHERE b.build_uid = @build_uid
FOR NO KEY UPDATE;

-- name: TakeChunk :execrows
DELETE FROM plan_pipeline WHERE build_uid = @build_uid AND place = ANY(@places::integer[]);

-- name: MovePlan :execrows
-- Writes nothing where nothing is left of the plan.
UPDATE plan p SET moved_at = clock_timestamp(), runs = p.runs + @runs, filter_cost = @filter_cost
WHERE p.build_uid = @build_uid AND EXISTS (SELECT FROM plan_pipeline n WHERE n.build_uid = p.build_uid);

-- name: FinishPlan :exec
-- The last chunk: the build is planned.
WITH planned AS (UPDATE ci_build SET planned_at = now() WHERE ci_build.build_uid = @build_uid AND ci_build.planned_at IS NULL)
DELETE FROM plan WHERE plan.build_uid = @build_uid;

-- name: InsertBelow :exec
-- Decides, with the rows of their roots locked, for pipelines further below a build by what
-- was decided for its children, whose runs may have ended meanwhile: then what hangs below
-- them was decided with that end, and what was not hangs elsewhere now.
WITH below AS (
    SELECT unnest(@pipelines::text[]) AS pipeline, unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@root_uids::text[]) AS root_uid
), decided AS (
    INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message, waits_for)
    SELECT d.build_uid, d.image, d.digest, d.namespace, d.build_name, n.pipeline, n.pipeline_uid,
           CASE WHEN d.outcome = 'Triggered' AND e.goes_on THEN 'Waiting' ELSE 'Skipped' END,
           CASE WHEN d.outcome = 'Triggered' AND e.goes_on THEN 'ParentRunning'
                WHEN d.outcome = 'Triggered' THEN 'ParentChanged'
                WHEN d.reason IN ('ParentSuspended', 'BuildNotSucceeded') THEN d.reason
                ELSE 'ParentNotTriggered' END,
           CASE WHEN d.outcome = 'Triggered' AND e.goes_on THEN 'waits for CdPipeline ' || d.pipeline || ' to succeed'
                WHEN d.outcome = 'Triggered' THEN 'it hangs below CdPipeline ' || d.pipeline || ' no longer: its new parent triggers it'
                WHEN d.reason IN ('ParentSuspended', 'BuildNotSucceeded') THEN d.message
                ELSE 'parent CdPipeline ' || d.pipeline || ' was not triggered: ' || d.reason END,
           CASE WHEN d.outcome = 'Triggered' AND e.goes_on THEN d.pipeline_uid ELSE '' END
    FROM below n
    JOIN trigger_decision d ON d.build_uid = @build_uid AND d.pipeline_uid = n.root_uid
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
            WHERE w.build_uid = d.build_uid AND w.pipeline_uid = d.pipeline_uid AND w.outcome IS NULL
              AND ((a.image = d.image AND a.digest = d.digest) OR d.image = ANY(w.also))) AS goes_on
    ) e
    ON CONFLICT (build_uid, image, digest, pipeline_uid) DO NOTHING
    RETURNING namespace, build_name, pipeline, pipeline_uid, outcome, reason, message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, state, reason, message)
SELECT 'Decision', namespace, build_name, pipeline, pipeline_uid, outcome, reason, message FROM decided;
