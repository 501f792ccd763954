-- Waves as people see them. Nothing here writes or locks.

-- name: ViewWaves :many
-- Waves of base images that exist, by the name of the image, the newest first: the newest of each
-- image, or all. Items are counted of those waves alone that are on the page.
WITH page AS (
    SELECT b.namespace, b.name, b.image, w.image_uid, w.number, w.digest, w.state, w.message, w.started_at, w.ended_at
    FROM base_image b
    JOIN wave w ON w.image_uid = b.image_uid AND (@history::boolean OR w.number = b.wave)
    WHERE b.deleted_at IS NULL AND (@all_namespaces::boolean OR b.namespace = ANY(@namespaces::text[]))
      AND (@name::text = '' OR b.name = @name::text) AND (@state::text = '' OR w.state = @state::text)
      AND (b.namespace, b.name) >= (@after_namespace::text, @after_name::text)
      AND ((b.namespace, b.name) > (@after_namespace::text, @after_name::text) OR w.number < @before_number::bigint)
    ORDER BY b.namespace, b.name, w.number DESC
    LIMIT @most
)
SELECT p.*, i.total, i.pending, i.building, i.succeeded, i.failed, i.skipped
FROM page p
CROSS JOIN LATERAL (
    SELECT count(*) AS total, count(*) FILTER (WHERE item.state IN ('Pending', 'Deferred')) AS pending,
           count(*) FILTER (WHERE item.state = 'Building') AS building, count(*) FILTER (WHERE item.state = 'Succeeded') AS succeeded,
           count(*) FILTER (WHERE item.state = 'Failed') AS failed, count(*) FILTER (WHERE item.state = 'Skipped') AS skipped
    FROM wave_item item WHERE item.image_uid = p.image_uid AND item.number = p.number
) i
ORDER BY p.namespace, p.name, p.number DESC;

-- name: ViewWaveItems :many
-- Items of one wave, by their pipelines, in the namespaces that are shown.
SELECT i.namespace, i.pipeline, i.pipeline_uid, i.build_name, i.state, i.message, i.ended_at
FROM wave_item i
WHERE i.image_uid = @image_uid AND i.number = @number AND (@all_namespaces::boolean OR i.namespace = ANY(@namespaces::text[]))
  AND (@state::text = '' OR i.state = @state::text)
  AND (i.namespace, i.pipeline, i.pipeline_uid) > (@after_namespace::text, @after_pipeline::text, @after_uid::text)
ORDER BY i.namespace, i.pipeline, i.pipeline_uid
LIMIT @most;

-- name: ViewWaveItemsHidden :one
-- How many items of a wave are in other namespaces.
SELECT count(*) FROM wave_item i
WHERE i.image_uid = @image_uid AND i.number = @number AND NOT (@all_namespaces::boolean OR i.namespace = ANY(@namespaces::text[]));
