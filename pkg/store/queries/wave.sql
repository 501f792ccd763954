-- Waves of rebuilds. The controller's leader alone moves them; what a person asks for is guarded
-- by the wave's row.

-- name: DueWaves :many
-- Base images of which a change has settled.
SELECT image_uid, namespace, name, image, digest, wave FROM base_image
WHERE wave_due_at <= now() AND deleted_at IS NULL
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]))
ORDER BY wave_due_at, image_uid;

-- name: TakeWave :many
-- Notes that the change to a digest is being worked off: with a wave, or with none where there is
-- nothing to build. No row where the image has changed since.
UPDATE base_image SET wave_due_at = NULL, wave = wave + CASE WHEN @has_items::boolean THEN 1 ELSE 0 END
WHERE image_uid = @image_uid AND digest = @digest AND wave = @wave AND wave_due_at IS NOT NULL AND deleted_at IS NULL
RETURNING wave;

-- name: EndOlderWaves :exec
-- A newer wave builds what older ones had not begun.
WITH older AS (
    UPDATE wave w SET state = 'Cancelled', message = @message::text, ended_at = now()
    WHERE w.image_uid = @image_uid AND w.number < @number AND w.ended_at IS NULL
    RETURNING w.image_uid, w.number
)
UPDATE wave_item i SET state = 'Skipped', message = @message::text, ended_at = now()
FROM older o WHERE i.image_uid = o.image_uid AND i.number = o.number AND i.state IN ('Pending', 'Deferred');

-- name: InsertWave :exec
INSERT INTO wave (image_uid, number, digest) VALUES (@image_uid, @number, @digest);

-- name: InsertWaveItems :exec
INSERT INTO wave_item (image_uid, number, pipeline_uid, namespace, pipeline, build_name, state, message, ended_at)
SELECT @image_uid::text, @number::bigint, n.pipeline_uid, n.namespace, n.pipeline, n.build_name, n.state, n.message,
       CASE n.state WHEN 'Skipped' THEN now() END
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@pipeline_namespaces::text[]) AS namespace, unnest(@pipelines::text[]) AS pipeline,
             unnest(@build_names::text[]) AS build_name, unnest(@states::text[]) AS state, unnest(@messages::text[]) AS message) n;

-- name: OpenWaves :many
-- Those that go on, or of which builds do.
SELECT w.image_uid, w.number, w.digest, w.state, w.forgiven, w.started_at, b.namespace, b.name, b.image
FROM wave w JOIN base_image b ON b.image_uid = w.image_uid
WHERE (w.image_uid, w.number) IN (SELECT o.image_uid, o.number FROM wave o WHERE o.ended_at IS NULL
                                  UNION SELECT i.image_uid, i.number FROM wave_item i WHERE i.state = 'Building')
  AND (cardinality(@namespaces::text[]) = 0 OR b.namespace = ANY(@namespaces::text[]))
ORDER BY w.started_at, w.image_uid;

-- name: WaveItems :many
SELECT pipeline_uid, namespace, pipeline, build_name, build_uid, state, message, ended_at
FROM wave_item WHERE image_uid = @image_uid AND number = @number
ORDER BY namespace, pipeline, pipeline_uid;

-- name: FollowWaveBuilds :execrows
-- Notes how builds of waves have ended, by the rows of the builds, whoever made them: a build of
-- that name was made for the item. What a newer build of the same ref has overtaken is built by
-- that, which was given the same base images or newer ones.
WITH known AS (
    SELECT i.image_uid, i.number, i.pipeline_uid, b.build_uid, b.phase,
           CASE WHEN b.phase = 'Succeeded' THEN 'Succeeded'
                WHEN EXISTS (SELECT FROM task t WHERE t.kind = 'ci' AND t.inputs->>'build_uid' = b.build_uid AND t.status = 'Superseded') THEN 'Skipped'
                WHEN b.phase IN ('Failed', 'Error', 'Cancelled') OR b.deleted_at IS NOT NULL THEN 'Failed' ELSE i.state END AS state
    FROM wave_item i
    JOIN LATERAL (SELECT * FROM ci_build c WHERE c.namespace = i.namespace AND c.build_name = i.build_name ORDER BY c.seq DESC LIMIT 1) b ON true
    WHERE i.state = 'Building'
)
UPDATE wave_item i
SET build_uid = k.build_uid, state = k.state,
    message = CASE WHEN k.state = 'Skipped' THEN 'a newer build of the same ref went first' WHEN k.state <> 'Failed' THEN ''
                   WHEN k.phase IN ('Failed', 'Error', 'Cancelled') THEN 'build ' || i.build_name || ' ended as ' || k.phase
                   ELSE 'build ' || i.build_name || ' was deleted' END,
    ended_at = CASE WHEN k.state <> 'Building' THEN now() END
FROM known k
WHERE i.image_uid = k.image_uid AND i.number = k.number AND i.pipeline_uid = k.pipeline_uid AND i.state = 'Building'
  AND (i.build_uid <> k.build_uid OR k.state <> 'Building');

-- name: MoveWaveItems :many
-- Moves items of a wave that goes on, from the states that they can leave. It returns those that
-- moved.
WITH alive AS (
    SELECT wave.image_uid, wave.number FROM wave WHERE wave.image_uid = @image_uid AND wave.number = @number AND wave.state = 'Running' FOR NO KEY UPDATE
)
UPDATE wave_item i SET state = n.state, message = n.message, ended_at = CASE WHEN n.state IN ('Skipped', 'Failed') THEN now() END
FROM (SELECT unnest(@pipeline_uids::text[]) AS pipeline_uid, unnest(@states::text[]) AS state, unnest(@messages::text[]) AS message) n, alive
WHERE i.image_uid = alive.image_uid AND i.number = alive.number AND i.pipeline_uid = n.pipeline_uid
  AND ((i.state = 'Deferred' AND n.state IN ('Pending', 'Skipped')) OR (i.state = 'Pending' AND n.state = 'Building')
       OR (i.state = 'Building' AND i.build_uid = '' AND (n.state IN ('Failed', 'Skipped') OR (n.state = 'Building' AND n.message <> i.message))))
RETURNING i.pipeline_uid;

-- name: MoveWave :execrows
WITH moved AS (
    UPDATE wave SET state = @state::text, message = @message::text,
           ended_at = CASE WHEN @state::text IN ('Succeeded', 'Failed', 'Cancelled') THEN now() END
    WHERE wave.image_uid = @image_uid AND wave.number = @number AND wave.state = @was::text
    RETURNING wave.image_uid, wave.number, wave.state
)
INSERT INTO event (kind, namespace, pipeline, run_id, state, message, actor, actor_reason)
SELECT 'Wave', b.namespace, b.name, m.number, m.state,
       (SELECT format('%s of %s built, %s failed, %s skipped', count(*) FILTER (WHERE i.state = 'Succeeded'), count(*),
                      count(*) FILTER (WHERE i.state = 'Failed'), count(*) FILTER (WHERE i.state = 'Skipped'))
        FROM wave_item i WHERE i.image_uid = m.image_uid AND i.number = m.number), @actor::text, @actor_reason::text
FROM moved m JOIN base_image b ON b.image_uid = m.image_uid;

-- name: SkipWaveItems :exec
-- What has not begun of a wave never will.
UPDATE wave_item SET state = 'Skipped', message = @message::text, ended_at = now()
WHERE image_uid = @image_uid AND number = @number AND state IN ('Pending', 'Deferred');

-- name: LockNewestWave :many
SELECT w.number, w.state, (SELECT count(*) FROM wave_item i WHERE i.image_uid = w.image_uid AND i.number = w.number AND i.state = 'Failed')::bigint AS failed
FROM wave w WHERE w.image_uid = @image_uid ORDER BY w.number DESC LIMIT 1 FOR NO KEY UPDATE OF w;

-- name: ResumeWave :exec
UPDATE wave SET state = 'Running', message = '', forgiven = @forgiven::integer WHERE image_uid = @image_uid AND number = @number AND state = 'Stopped';

-- name: NewestRebuilds :many
-- Where the newest item of each pipeline stands, of those that have not ended, or have since a
-- time: what has not begun in a wave that does not run is none. What ended before that time, but
-- within patience, is told as well, since its image may not be looked at yet.
SELECT DISTINCT ON (i.pipeline_uid) i.pipeline_uid, b.namespace, b.name, i.state, i.ended_at,
       COALESCE(i.ended_at < now() - @patience::interval, false)::boolean AS is_old
FROM wave_item i JOIN wave w ON w.image_uid = i.image_uid AND w.number = i.number JOIN base_image b ON b.image_uid = i.image_uid
WHERE i.pipeline_uid = ANY(@pipeline_uids::text[]) AND i.state <> 'Skipped'
  AND (i.ended_at IS NULL OR i.ended_at >= LEAST(@since::timestamptz, now() - @patience::interval))
  AND (w.state = 'Running' OR i.state NOT IN ('Pending', 'Deferred'))
ORDER BY i.pipeline_uid, i.ended_at DESC NULLS FIRST, w.started_at DESC, w.image_uid;

-- name: NamedBaseImages :many
-- What is known of base images, by their names. A wave that was cancelled builds nothing more.
SELECT b.image_uid, b.namespace, b.name, b.image, b.digest, b.checked_at, b.wave_due_at, w.started_at AS wave_began
FROM base_image b JOIN (SELECT unnest(@image_namespaces::text[]) AS namespace, unnest(@names::text[]) AS name) n ON n.namespace = b.namespace AND n.name = b.name
LEFT JOIN wave w ON w.image_uid = b.image_uid AND w.number = b.wave AND w.state <> 'Cancelled'
WHERE b.deleted_at IS NULL;

-- name: NewestWaves :many
-- The newest wave of each base image, with what became of its items.
SELECT w.image_uid, w.number, w.digest, w.state, w.message, count(i.pipeline_uid) AS total,
       count(*) FILTER (WHERE i.state IN ('Pending', 'Deferred')) AS pending, count(*) FILTER (WHERE i.state = 'Building') AS building,
       count(*) FILTER (WHERE i.state = 'Succeeded') AS succeeded, count(*) FILTER (WHERE i.state = 'Failed') AS failed,
       count(*) FILTER (WHERE i.state = 'Skipped') AS skipped,
       COALESCE((array_agg(i.namespace || '/' || i.pipeline ORDER BY i.ended_at) FILTER (WHERE i.state = 'Failed'))[1:10], '{}')::text[] AS failures
FROM base_image b JOIN wave w ON w.image_uid = b.image_uid AND w.number = b.wave
LEFT JOIN wave_item i ON i.image_uid = w.image_uid AND i.number = w.number
WHERE b.image_uid = ANY(@image_uids::text[])
GROUP BY w.image_uid, w.number;
