package oracle

// openDeliveries are those that are not worked off.
const openDeliveries = `status IN ('Received', 'Working')`

// begunLater is how much later a delivery must have come than another one that it is surely
// worked off after: above what it takes to keep one.
const begunLater = `interval '15 s'`

// deliveryRules are about what webhooks brought: each is worked off once, in its order, and says
// what came of it.
var deliveryRules = []rule{
	{"I1: a delivery was accepted, and is not worked off", `
		SELECT id || ' ' || status || ' ' || message FROM webhook_delivery WHERE ` + openDeliveries},
	{"I2: a delivery was kept twice", `
		SELECT min(receiver) || ' ' || delivery_id FROM webhook_delivery GROUP BY receiver_uid, delivery_id HAVING count(*) > 1`},
	{"I2: equal bodies within a day are two deliveries", `
		SELECT a.id || ' and ' || b.id FROM webhook_delivery a JOIN webhook_delivery b ON b.receiver_uid = a.receiver_uid AND b.body_hash = a.body_hash AND b.id > a.id
		WHERE a.redelivery_of IS NULL AND b.redelivery_of IS NULL AND abs(extract(epoch FROM b.received_at - a.received_at)) < 86400`},
	{"I2: a build was made twice for webhooks", `
		SELECT b.build_name FROM ci_build b
		WHERE b.cause = 'Webhook' AND NOT EXISTS (SELECT FROM webhook_delivery d
			WHERE d.redelivery_of IS NOT NULL AND d.namespace = b.namespace AND strpos(d.message, b.build_name) > 0)
		GROUP BY b.namespace, b.build_name HAVING count(*) > 1`},
	{"I7: a delivery has ended, and does not say how", `
		SELECT id || ' ' || outcome || ' ' || message FROM webhook_delivery
		WHERE status IN ('Done', 'Failed') AND (outcome = '' OR message NOT LIKE outcome || '%' OR finished_at IS NULL OR lease_until IS NOT NULL OR claimed_by <> '' OR attempts < 1)`},
	{"I7: a delivery ended otherwise than its outcome says", `
		SELECT id || ' ' || status || ' ' || outcome FROM webhook_delivery
		WHERE status IN ('Done', 'Failed') AND (status = 'Failed') <> (outcome IN ('Malformed', 'Refused', 'Failed'))`},
	{"I7: a delivery says that a base image is checked that was never there", `
		SELECT d.id || ' ' || n.name FROM webhook_delivery d,
			regexp_split_to_table(regexp_replace(substr(d.message, length('CheckWanted ') + 1), ' and \d+ more$', ''), ', ') AS n (name)
		WHERE d.outcome = 'CheckWanted' AND n.name NOT LIKE '%…' AND NOT EXISTS (SELECT FROM base_image b WHERE b.namespace = d.namespace AND b.name = n.name)`},
	{"I8: a delivery was worked off after one of its repository that came later", `
		SELECT o.id || ' ' || n.id FROM webhook_delivery o JOIN webhook_delivery n ON n.receiver_uid = o.receiver_uid AND n.repository = o.repository AND n.id > o.id
		WHERE n.received_at > o.received_at + ` + begunLater + ` AND n.finished_at < o.finished_at`},
}
