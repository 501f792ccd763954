-- +goose Up

-- Which pipeline a decision that waits is to be decided anew after, by UID: whatever becomes
-- of the pipelines between the two, none waits for ever.
ALTER TABLE trigger_decision ADD COLUMN waits_for text NOT NULL DEFAULT '';
UPDATE trigger_decision d SET waits_for = w.pipeline_uid
FROM cd_workflow w
WHERE d.outcome = 'Waiting' AND w.build_uid = d.build_uid AND d.message = 'waits for CdPipeline ' || w.pipeline || ' to succeed';

-- Those that wait for a run that is over already.
WITH settled AS (
    UPDATE trigger_decision d
    SET outcome = 'Skipped', reason = 'ParentChanged', waits_for = '', decided_at = now(),
        message = 'its parent had ended without it: create a RunRequest with action Trigger to run it'
    WHERE d.outcome = 'Waiting' AND NOT EXISTS (
        SELECT FROM cd_workflow w WHERE w.build_uid = d.build_uid AND w.pipeline_uid = d.waits_for AND w.outcome IS NULL)
    RETURNING namespace, build_name, pipeline, pipeline_uid, outcome, reason, message
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, state, reason, message)
SELECT 'Decision', namespace, build_name, pipeline, pipeline_uid, outcome, reason, message FROM settled;

-- +goose Down
ALTER TABLE trigger_decision DROP COLUMN waits_for;
