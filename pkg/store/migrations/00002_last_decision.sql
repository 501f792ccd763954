-- +goose Up

-- The decisions on a pipeline, those of the last build first.
CREATE INDEX trigger_decision_newest ON trigger_decision (pipeline_uid, id DESC);
DROP INDEX trigger_decision_by_pipeline;

-- +goose Down
CREATE INDEX trigger_decision_by_pipeline ON trigger_decision (pipeline_uid, decided_at DESC);
DROP INDEX trigger_decision_newest;
