package oracle

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// runs counts the runs of one build, as its status must: each is in one of pending, held,
// submitted, running, succeeded, failed, cancelled and superseded.
type runs struct {
	BuildUID  string
	Total     int32
	Pending   int32
	Held      int32
	Submitted int32
	Running   int32
	Succeeded int32
	Failed    int32
	Cancelled int32
	// Superseded were overtaken by a newer build.
	Superseded int32
	// Created have or had a Workflow.
	Created int32
	// NotTakenUp have a Workflow that no Argo controller has taken up.
	NotTakenUp int32
	// Reopened is how often one of them was reopened: it had ended before.
	Reopened int32
	// Skipped are pipelines that were not triggered for any artifact.
	Skipped int32
}

// countRuns counts from the tasks alone: a run is held where one of its stages is, but for
// the stage before; else it is as far as its furthest stage. A stage that is tried again
// has had a Workflow.
const countRuns = `
WITH run AS (
	SELECT w.build_uid, w.outcome,
		bool_or(t.submitted_at IS NOT NULL OR r.attempt > 1) AS created,
		bool_or(t.started_at IS NOT NULL OR r.attempt > 1) AS started,
		bool_or(t.status IN ('Pending', 'Submitting')) AS waits,
		bool_or(t.status = 'Held' AND t.reason <> 'StageBefore') AS held,
		bool_or(t.status = 'Submitted' AND t.reason = 'NotTakenUp') AS not_taken_up
	FROM cd_workflow w
	JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
	JOIN task t ON t.id = r.task_id
	WHERE w.build_uid %[1]s $1 AND (%[2]s)
	GROUP BY w.id, w.build_uid, w.outcome
), untouched AS (
	SELECT build_uid, pipeline_uid FROM trigger_decision
	WHERE build_uid %[1]s $1
	GROUP BY 1, 2 HAVING bool_and(outcome IN ('Skipped', 'Blocked'))
)
SELECT b.build_uid,
	count(run.build_uid) AS total,
	count(*) FILTER (WHERE outcome IS NULL AND NOT held AND NOT created AND waits) AS pending,
	count(*) FILTER (WHERE outcome IS NULL AND held) AS held,
	count(*) FILTER (WHERE outcome IS NULL AND NOT held AND created AND NOT started) AS submitted,
	count(*) FILTER (WHERE outcome IS NULL AND NOT held AND (started OR NOT created AND NOT waits)) AS running,
	count(*) FILTER (WHERE outcome = 'Succeeded') AS succeeded,
	count(*) FILTER (WHERE outcome IN ('Failed', 'Error')) AS failed,
	count(*) FILTER (WHERE outcome = 'Cancelled') AS cancelled,
	count(*) FILTER (WHERE outcome = 'Superseded') AS superseded,
	count(*) FILTER (WHERE created) AS created,
	count(*) FILTER (WHERE outcome IS NULL AND not_taken_up) AS not_taken_up,
	(SELECT count(*) FROM event e JOIN cd_workflow ew ON ew.id = e.run_id
		WHERE ew.build_uid = b.build_uid AND e.namespace = b.namespace AND e.build_name = b.build_name
			AND e.kind = 'Run' AND e.state = 'Reopened') AS reopened,
	(SELECT count(*) FROM untouched u WHERE u.build_uid = b.build_uid) AS skipped
FROM ci_build b LEFT JOIN run ON run.build_uid = b.build_uid
WHERE b.build_uid %[1]s $1 AND b.planned_at IS NOT NULL
GROUP BY b.build_uid, b.namespace, b.build_name`

// Which runs are counted: of those of an artifact in a pipeline the last one, and those that
// have not ended, as a status does; or all that there ever were.
const (
	newestRuns = `w.outcome IS NULL OR w.run = (
		SELECT max(o.run) FROM cd_workflow o WHERE o.ci_artifact_id = w.ci_artifact_id AND o.pipeline_uid = w.pipeline_uid)`
	allRuns = "true"
)

// readRuns counts the runs of one planned build, or of all where uid is empty, by
// UID.
func readRuns(ctx context.Context, database *pgxpool.Pool, uid, counted string) (map[string]runs, error) {
	which := "="
	if uid == "" {
		which = "<>"
	}
	rows, err := database.Query(ctx, fmt.Sprintf(countRuns, which, counted), uid)
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[runs])
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	byUID := make(map[string]runs, len(list))
	for _, one := range list {
		byUID[one.BuildUID] = one
	}
	return byUID, nil
}

// told is what the tables have a pipeline's status tell.
type told struct {
	PipelineUID string
	// Run is the newest run at its furthest stage; nil where there is none.
	Run *lastRun
	// Decision is what the last build came to; nil where there was none.
	Decision *decision
	// Deployed are images with their digests and builds, the newest first.
	Deployed []string
}

type lastRun struct {
	ID                                      int64
	BuildName, Image, Digest, Stage, Status string
	Reason, Message                         string
	Attempt                                 int32
}

type decision struct{ BuildName, Outcome, Reason, Message string }

// allTold reads of each pipeline the newest run, at the furthest stage that waits for no
// stage before it and was not given up with one; the decision on the build that was decided
// on last, where that it runs for one of its artifacts counts most; and what is deployed.
const allTold = `
WITH newest AS (
	SELECT DISTINCT ON (w.pipeline_uid) w.pipeline_uid, json_build_object('ID', w.id,
		'BuildName', a.build_name, 'Image', a.image, 'Digest', a.digest,
		'Stage', r.stage, 'Status', t.status, 'Reason', t.reason, 'Message', t.message, 'Attempt', r.attempt) AS run
	FROM cd_workflow w
	JOIN ci_artifact a ON a.id = w.ci_artifact_id
	JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
	JOIN task t ON t.id = r.task_id
	WHERE t.reason NOT IN ('StageBefore', 'StageBeforeFailed')
	ORDER BY w.pipeline_uid, w.id DESC, r.id DESC
), last_build AS (
	SELECT DISTINCT ON (pipeline_uid) pipeline_uid, build_uid FROM trigger_decision ORDER BY pipeline_uid, id DESC
), decided AS (
	SELECT DISTINCT ON (d.pipeline_uid) d.pipeline_uid, json_build_object(
		'BuildName', d.build_name, 'Outcome', d.outcome, 'Reason', d.reason, 'Message', d.message) AS decision
	FROM last_build l JOIN trigger_decision d ON d.pipeline_uid = l.pipeline_uid AND d.build_uid = l.build_uid
	ORDER BY d.pipeline_uid, array_position(ARRAY['Triggered', 'Waiting', 'Blocked', 'Skipped'], d.outcome), d.id DESC
), shown AS (
	SELECT pipeline_uid, (array_agg(image || '@' || digest || ' of ' || build_name ORDER BY at DESC, repository))[1:64] AS deployed
	FROM deployed GROUP BY pipeline_uid
)
SELECT pipeline_uid, run, decision, COALESCE(deployed, '{}') AS deployed
FROM newest FULL JOIN decided USING (pipeline_uid) FULL JOIN shown USING (pipeline_uid)`

// readTold returns what the pipelines must tell, by UID.
func readTold(ctx context.Context, database *pgxpool.Pool) (map[string]told, error) {
	rows, err := database.Query(ctx, allTold)
	if err != nil {
		return nil, fmt.Errorf("read what pipelines must tell: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[told])
	if err != nil {
		return nil, fmt.Errorf("read what pipelines must tell: %w", err)
	}
	byUID := make(map[string]told, len(list))
	for _, one := range list {
		byUID[one.PipelineUID] = one
	}
	return byUID, nil
}
