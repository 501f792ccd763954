-- +goose Up

-- What the server, which alone may read it, has found wrong with a Receiver's Secret: a reason and
-- a sentence, '' where it can be used. secret_generation is the Receiver's generation that this is
-- about; 0 is before the first look.
ALTER TABLE receiver
    ADD COLUMN secret_reason     text NOT NULL DEFAULT '',
    ADD COLUMN secret_problem    text NOT NULL DEFAULT '',
    ADD COLUMN secret_generation bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE receiver
    DROP COLUMN secret_reason,
    DROP COLUMN secret_problem,
    DROP COLUMN secret_generation;
