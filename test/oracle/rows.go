package oracle

import (
	"context"
	"fmt"
)

// rules are queries that return one text for each violation.
var rules = []struct{ promise, query string }{
	{"I1: a decision says Triggered, but there is no run", `
		SELECT d.build_name || ' ' || d.pipeline FROM trigger_decision d
		WHERE d.outcome = 'Triggered' AND NOT EXISTS (
			SELECT FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
			WHERE a.build_uid = d.build_uid AND a.image = d.image AND a.digest = d.digest AND w.pipeline_uid = d.pipeline_uid)`},
	{"I1: a run has no first stage", `
		SELECT w.pipeline FROM cd_workflow w
		WHERE NOT EXISTS (SELECT FROM cd_workflow_runner r WHERE r.cd_workflow_id = w.id AND r.stage IN ('PRE', 'DEPLOY'))`},
	{"I1: a stage has ended and was not followed", `
		SELECT workflow_name FROM cd_workflow_runner
		WHERE followed_at IS NULL AND status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')`},
	{"I1: a stage was followed, but by no stage, no end and nobody who is waited for", `
		SELECT r.workflow_name FROM cd_workflow_runner r
		JOIN cd_workflow w ON w.id = r.cd_workflow_id
		JOIN ci_artifact a ON a.id = w.ci_artifact_id
		WHERE r.followed_at IS NOT NULL AND w.outcome IS NULL
			AND NOT EXISTS (SELECT FROM cd_workflow_runner n WHERE n.cd_workflow_id = w.id AND n.id > r.id)
			AND NOT EXISTS (SELECT FROM trigger_decision d
				WHERE d.build_uid = a.build_uid AND d.image = a.image AND d.digest = a.digest AND d.pipeline_uid = w.pipeline_uid
					AND d.outcome = 'Waiting' AND d.reason = 'ManualStage')`},
	{"I2: a pipeline runs, but no decision says so", `
		SELECT w.pipeline FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
		WHERE NOT EXISTS (SELECT FROM trigger_decision d
			WHERE d.build_uid = a.build_uid AND d.image = a.image AND d.digest = a.digest AND d.pipeline_uid = w.pipeline_uid
				AND (d.outcome = 'Triggered' OR (d.outcome = 'Waiting' AND d.reason = 'ManualStage')))`},
	{"I2: a pipeline has the same run of an artifact twice", `
		SELECT min(pipeline) FROM cd_workflow GROUP BY ci_artifact_id, pipeline_uid, run HAVING count(*) > 1`},
	{"I2: a run has a stage twice", `
		SELECT min(workflow_name) FROM cd_workflow_runner GROUP BY cd_workflow_id, stage HAVING count(*) > 1`},
	{"I2: two stages want the same Workflow", `
		SELECT min(r.workflow_name) FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id
		GROUP BY w.namespace, r.workflow_name HAVING count(*) > 1`},
	{"I4: a claim's lease has run out and nobody took it", `
		SELECT workflow_name FROM cd_workflow_runner WHERE status = 'Submitting' AND lease_until < now()`},
}

func rows(ctx context.Context, world World) ([]string, error) {
	var found []string
	for _, rule := range rules {
		names, err := texts(ctx, world, rule.query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.promise, err)
		}
		for _, name := range names {
			found = append(found, rule.promise+": "+name)
		}
	}
	return found, nil
}

func texts(ctx context.Context, world World, query string) ([]string, error) {
	rows, err := world.Database.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}
