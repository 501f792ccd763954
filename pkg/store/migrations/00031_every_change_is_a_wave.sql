-- +goose Up

-- Each change makes a wave, also one back to the digest of the last wave: what was built meanwhile
-- was built on what was there for that while.
ALTER TABLE base_image DROP COLUMN wave_digest;

-- +goose Down
ALTER TABLE base_image ADD COLUMN wave_digest text NOT NULL DEFAULT '';
