-- Notifications as people see them. The list is ViewNotifications.

-- name: ViewNotification :many
-- One notification, or none.
SELECT n.* FROM notification n WHERE n.id = @id AND n.namespace = @namespace;

-- name: PreviewEvents :many
-- The first events of a build of which TypeOf may tell, as UntoldEvents has them.
SELECT e.xid::text AS xid, e.id, e.at, e.kind, e.namespace, e.build_name, e.pipeline, e.pipeline_uid, e.run_id, e.stage, e.state, e.reason, e.message, e.actor, e.actor_reason, e.cluster
FROM event e
WHERE e.namespace = @namespace AND e.build_name = @build_name
  AND (e.kind IN ('Build', 'Run') OR (e.kind = 'Task' AND e.reason <> '' AND e.state IN ('Held', 'Pending', 'Submitted')))
ORDER BY e.xid, e.id
LIMIT @most;
