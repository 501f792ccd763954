package oracle

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// runs counts the runs of one build, as its status must: each is in one of pending,
// submitted, running, succeeded and failed.
type runs struct {
	BuildUID  string
	Total     int32
	Pending   int32
	Submitted int32
	Running   int32
	Succeeded int32
	Failed    int32
	// Created have or had a Workflow.
	Created int32
	// Skipped are pipelines that were not triggered for any artifact.
	Skipped int32
}

// countRuns counts from the stages alone: a run is as far as its furthest stage.
const countRuns = `
WITH run AS (
	SELECT a.build_uid, w.outcome,
		bool_or(r.submitted_at IS NOT NULL) AS created,
		bool_or(r.started_at IS NOT NULL) AS started,
		bool_or(r.status IN ('Pending', 'Submitting')) AS waits
	FROM cd_workflow w
	JOIN ci_artifact a ON a.id = w.ci_artifact_id
	JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
	GROUP BY w.id, a.build_uid
), untouched AS (
	SELECT build_uid, pipeline_uid FROM trigger_decision
	GROUP BY 1, 2 HAVING bool_and(outcome IN ('Skipped', 'Blocked'))
)
SELECT b.build_uid,
	count(run.build_uid) AS total,
	count(*) FILTER (WHERE outcome IS NULL AND NOT created AND waits) AS pending,
	count(*) FILTER (WHERE outcome IS NULL AND created AND NOT started) AS submitted,
	count(*) FILTER (WHERE outcome IS NULL AND (started OR NOT created AND NOT waits)) AS running,
	count(*) FILTER (WHERE outcome = 'Succeeded') AS succeeded,
	count(*) FILTER (WHERE outcome <> 'Succeeded') AS failed,
	count(*) FILTER (WHERE created) AS created,
	(SELECT count(*) FROM untouched u WHERE u.build_uid = b.build_uid) AS skipped
FROM ci_build b LEFT JOIN run ON run.build_uid = b.build_uid
WHERE b.build_uid = $1 OR $1 = ''
GROUP BY b.build_uid`

// readRuns returns the runs of one planned build, or of all where uid is empty, by
// UID.
func readRuns(ctx context.Context, database *pgxpool.Pool, uid string) (map[string]runs, error) {
	rows, err := database.Query(ctx, countRuns, uid)
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

// lastRun is the newest stage of a pipeline.
type lastRun struct {
	PipelineUID, BuildName, Image, Digest, Stage, Status string
}

const newestStages = `
SELECT DISTINCT ON (w.pipeline_uid) w.pipeline_uid, a.build_name, a.image, a.digest, r.stage, r.status
FROM cd_workflow w
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
ORDER BY w.pipeline_uid, w.id DESC, r.id DESC`

func readLastRuns(ctx context.Context, database *pgxpool.Pool) (map[string]lastRun, error) {
	rows, err := database.Query(ctx, newestStages)
	if err != nil {
		return nil, fmt.Errorf("read last runs: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[lastRun])
	if err != nil {
		return nil, fmt.Errorf("read last runs: %w", err)
	}
	byUID := make(map[string]lastRun, len(list))
	for _, one := range list {
		byUID[one.PipelineUID] = one
	}
	return byUID, nil
}
