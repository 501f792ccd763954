-- +goose NO TRANSACTION
-- +goose Up

-- What tells deliveries apart goes before their receiver, and the index of a receiver's deliveries
-- has those alone that were worked off: while the table was empty, any index that begins with the
-- receiver was as good as another, and plans of that time read everything that a receiver had got
-- for each delivery that came.
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_of_sender;
CREATE UNIQUE INDEX CONCURRENTLY webhook_delivery_of_sender ON webhook_delivery (delivery_id, receiver_uid);
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_of_day;
CREATE UNIQUE INDEX CONCURRENTLY webhook_delivery_of_day ON webhook_delivery (body_key, receiver_uid);
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_of_body;
CREATE INDEX CONCURRENTLY webhook_delivery_of_body ON webhook_delivery (body_hash, receiver_uid, received_at) WHERE redelivery_of IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_ended;
CREATE INDEX CONCURRENTLY webhook_delivery_ended ON webhook_delivery (receiver_uid, id) WHERE status IN ('Done', 'Failed');
ALTER TABLE webhook_delivery DROP CONSTRAINT IF EXISTS webhook_delivery_receiver_uid_delivery_id_key;
ALTER TABLE webhook_delivery DROP CONSTRAINT IF EXISTS webhook_delivery_receiver_uid_body_key_key;
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_body;
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_of_receiver;

-- +goose Down
CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_delivery_of_receiver ON webhook_delivery (receiver_uid, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_delivery_body ON webhook_delivery (receiver_uid, body_hash, received_at) WHERE redelivery_of IS NULL;
ALTER TABLE webhook_delivery ADD UNIQUE (receiver_uid, body_key);
ALTER TABLE webhook_delivery ADD UNIQUE (receiver_uid, delivery_id);
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_ended;
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_of_body;
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_of_day;
DROP INDEX CONCURRENTLY IF EXISTS webhook_delivery_of_sender;
