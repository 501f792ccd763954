-- Processes that claim tasks.

-- name: BeatWorker :exec
-- The state is sent as text: bytes are no JSON where a pooler has queries sent in the simple protocol.
INSERT INTO worker (name, replica, state) VALUES (@name, @replica, (@state::text)::jsonb)
ON CONFLICT (name) DO UPDATE SET beat_at = now(), state = excluded.state;

-- name: TakeOver :execrows
-- Gives back what earlier processes of the replica have claimed, and forgets them, and all
-- that have been silent for long.
WITH gone AS (
    DELETE FROM worker w WHERE w.name <> @name::text AND (w.replica = @replica::text OR w.beat_at < now() - interval '1 hour')
    RETURNING w.name
), locked AS (
    SELECT t.id FROM task t
    WHERE t.status = 'Submitting' AND t.claimed_by IN (SELECT gone.name FROM gone)
    ORDER BY t.id FOR NO KEY UPDATE OF t
)
UPDATE task t
SET status = 'Pending', claimed_by = '', lease_until = NULL, changed_at = now(),
    available_at = CASE WHEN available_at = '-infinity' THEN 'epoch' ELSE available_at END
FROM locked
WHERE t.id = locked.id AND t.status = 'Submitting';
