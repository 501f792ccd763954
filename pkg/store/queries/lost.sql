-- What Kubernetes tells of and the tables do not, since the database was restored.

-- name: LostRuns :many
-- The places of those of the runs that are neither known nor noted as lost. A status names the
-- build of its run, which may have been made again under that name.
SELECT o.place::integer AS place
FROM (SELECT unnest(@run_ids::bigint[]) AS run_id, unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@build_uids::text[]) AS build_uid, unnest(@build_names::text[]) AS build_name,
             unnest(@images::text[]) AS image, unnest(@digests::text[]) AS digest, unnest(@places::integer[]) AS place) o
WHERE NOT EXISTS (
    SELECT FROM cd_workflow w JOIN ci_build b ON b.build_uid = w.build_uid
    WHERE w.id = o.run_id AND w.pipeline_uid = o.pipeline_uid AND b.build_name = o.build_name)
  AND NOT EXISTS (
    SELECT FROM trigger_decision d
    WHERE d.build_uid = o.build_uid AND d.image = o.image AND d.digest = o.digest AND d.pipeline_uid = o.pipeline_uid AND d.reason = 'RecordsLost');

-- name: MarkLost :exec
-- Of a build that is known, the run which is lost came after one that is not. One that was
-- adopted meanwhile goes on under another number.
WITH marked AS (
    UPDATE trigger_decision d SET reason = 'RecordsLost', message = @message::text, decided_at = now()
    WHERE d.build_uid = @build_uid::text AND d.image = @image::text AND d.digest = @digest::text AND d.pipeline_uid = @pipeline_uid::text
      AND d.outcome = 'Triggered' AND d.reason NOT IN ('RecordsLost', 'Adopted')
    RETURNING d.namespace, d.build_name, d.pipeline, d.pipeline_uid, d.outcome, d.reason, d.message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, state, reason, message, actor)
SELECT 'Decision', m.namespace, m.build_name, m.pipeline, m.pipeline_uid, m.outcome, m.reason, m.message, @actor::text FROM marked m;

-- name: NoteTurn :exec
-- The build has had its turn in the pipeline, and no older one has it after that.
UPDATE cd_pipeline p SET newest_at = b.created_at, newest_seq = b.seq
FROM ci_build b
WHERE p.pipeline_uid = @pipeline_uid AND b.build_uid = @build_uid AND (b.created_at, b.seq) > (p.newest_at, p.newest_seq);

-- name: SkipRunIDs :exec
-- No run gets a number that a lost one had.
SELECT setval(pg_get_serial_sequence('cd_workflow', 'id'), GREATEST(nextval(pg_get_serial_sequence('cd_workflow', 'id')), @run_id::bigint));

-- name: HasLostRuns :one
-- Whether a build may have had runs in a pipeline that nobody knows of: not where its plan is
-- being committed in chunks.
SELECT (EXISTS (SELECT FROM ci_build b WHERE b.build_uid = @build_uid AND b.planned_at IS NULL AND NOT EXISTS (SELECT FROM plan p WHERE p.build_uid = b.build_uid))
    OR EXISTS (SELECT FROM trigger_decision d WHERE d.build_uid = @build_uid AND d.pipeline_uid = @pipeline_uid AND d.reason = 'RecordsLost'))::boolean;
