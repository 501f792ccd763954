-- Base images: which exist, and which digest each tag stands for. The controller alone writes
-- them, but for check_wanted_at. Every batch locks its rows in the order of their UIDs.

-- name: MirrorBaseImages :exec
-- Of one that has no row yet, the digest that its status tells is believed, so that a change
-- since then is one.
INSERT INTO base_image (image_uid, namespace, name, image, repository, tag, digest, previous_digest)
SELECT n.image_uid, n.namespace, n.name, n.image, n.repository, n.tag, n.digest, n.previous_digest
FROM (SELECT unnest(@image_uids::text[]) AS image_uid, unnest(@image_namespaces::text[]) AS namespace, unnest(@names::text[]) AS name,
             unnest(@images::text[]) AS image, unnest(@repositories::text[]) AS repository, unnest(@tags::text[]) AS tag,
             unnest(@digests::text[]) AS digest, unnest(@previous_digests::text[]) AS previous_digest) n
ORDER BY n.image_uid
ON CONFLICT (image_uid) DO UPDATE
SET image = excluded.image, repository = excluded.repository, tag = excluded.tag, deleted_at = NULL
WHERE base_image.image <> excluded.image OR base_image.repository <> excluded.repository OR base_image.tag <> excluded.tag
   OR base_image.deleted_at IS NOT NULL;

-- name: BaseImageStates :many
SELECT image_uid, image, digest, previous_digest, checked_at, changed_at FROM base_image WHERE image_uid = ANY(@image_uids::text[]);

-- name: RecordBaseImageChecks :many
-- Notes what checks have found; '' where one has failed. It is noted only where the row still has
-- the image and the digest that the check began with: what a slower checker has found is older.
-- Another digest than before is a change, which starts a wave once it has settled; the first one
-- ever is none.
WITH checked AS (
    SELECT unnest(@image_uids::text[]) AS image_uid, unnest(@images::text[]) AS image, unnest(@befores::text[]) AS before,
           unnest(@digests::text[]) AS digest, unnest(@wanted_ats::timestamptz[]) AS wanted_at, unnest(@settles::interval[]) AS settle
), locked AS (
    SELECT b.image_uid FROM base_image b WHERE b.image_uid = ANY(@image_uids::text[]) ORDER BY b.image_uid FOR NO KEY UPDATE
)
UPDATE base_image b
SET checked_at = CASE c.digest WHEN '' THEN b.checked_at ELSE now() END,
    check_wanted_at = CASE WHEN b.check_wanted_at <= c.wanted_at THEN NULL ELSE b.check_wanted_at END,
    digest = CASE c.digest WHEN '' THEN b.digest ELSE c.digest END,
    previous_digest = CASE WHEN c.digest NOT IN ('', b.digest) THEN b.digest ELSE b.previous_digest END,
    changed_at = CASE WHEN c.digest NOT IN ('', b.digest) THEN now() ELSE b.changed_at END,
    wave_due_at = CASE WHEN c.digest NOT IN ('', b.digest) AND b.digest <> '' THEN LEAST(b.wave_due_at, now() + c.settle) ELSE b.wave_due_at END
FROM checked c
WHERE (SELECT count(*) FROM locked) > 0 AND b.image_uid = c.image_uid AND b.image = c.image AND b.digest = c.before AND b.deleted_at IS NULL
RETURNING b.image_uid, b.image, b.digest, b.previous_digest, b.checked_at, b.changed_at;

-- name: WantedBaseImages :many
SELECT image_uid, check_wanted_at FROM base_image
WHERE check_wanted_at IS NOT NULL AND deleted_at IS NULL
  AND (cardinality(@namespaces::text[]) = 0 OR namespace = ANY(@namespaces::text[]));

-- name: WantBaseImageChecks :many
-- Brings the checks forward of the images of a repository, and of one tag where it is given.
UPDATE base_image SET check_wanted_at = clock_timestamp()
WHERE image_uid IN (
    SELECT b.image_uid FROM base_image b
    WHERE b.namespace = @namespace AND b.repository = @repository AND (@tag::text = '' OR b.tag = @tag) AND b.deleted_at IS NULL
    ORDER BY b.image_uid FOR NO KEY UPDATE)
RETURNING name;

-- name: ForgetBaseImages :exec
-- Notes that all but these are gone.
UPDATE base_image SET deleted_at = now(), check_wanted_at = NULL, wave_due_at = NULL
WHERE image_uid IN (
    SELECT b.image_uid FROM base_image b
    WHERE b.deleted_at IS NULL AND b.image_uid <> ALL(@existing::text[])
      AND (cardinality(@namespaces::text[]) = 0 OR b.namespace = ANY(@namespaces::text[]))
    ORDER BY b.image_uid FOR NO KEY UPDATE);

-- name: BuiltDigests :many
-- What the newest build of each pipeline has made of a repository, of the last 50 builds that
-- succeeded. spellings are all that the repository is written as, separated by spaces.
SELECT w.place::integer AS place, a.digest
FROM (SELECT unnest(@places::integer[]) AS place, unnest(@image_namespaces::text[]) AS namespace, unnest(@ci_pipelines::text[]) AS ci_pipeline,
             string_to_array(unnest(@spellings::text[]), ' ') AS spellings) w
CROSS JOIN LATERAL (
    SELECT a.digest
    FROM (SELECT b.build_uid, b.created_at, b.seq FROM ci_build b
          WHERE b.namespace = w.namespace AND b.ci_pipeline = w.ci_pipeline AND b.phase = 'Succeeded'
          ORDER BY b.created_at DESC, b.seq DESC LIMIT 50) b
    JOIN ci_artifact a ON a.build_uid = b.build_uid
    WHERE lower(regexp_replace(a.image, '(:[^:/]*)?(@.*)?$', '')) = ANY(w.spellings)
    ORDER BY b.created_at DESC, b.seq DESC, a.id DESC
    LIMIT 1
) a;
