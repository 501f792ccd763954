package oracle

import (
	"context"
	"fmt"
	"slices"
)

// The states in which a task waits for a slot or has a Workflow, and those that are ends.
const (
	activeStates = `('Pending', 'Submitting', 'Submitted', 'Running')`
	endStates    = `('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded')`
)

// repositoryOf is an image without its tag.
func repositoryOf(column string) string { return `regexp_replace(` + column + `, ':[^/:]*$', '')` }

// covers tells whether the run w, of the artifact a, is the run of a decision d.
var covers = `w.build_uid = d.build_uid AND w.pipeline_uid = d.pipeline_uid AND ((a.image = d.image AND a.digest = d.digest)
	OR (w.artifacts = 'All' AND d.image = ANY(w.also))
	OR (w.artifacts = 'Each' AND d.reason = 'SameRun' AND a.digest = d.digest AND ` + repositoryOf("a.image") + ` = ` + repositoryOf("d.image") + `))`

// rule is a query that returns one text for each violation.
type rule struct{ promise, query string }

var rules = []rule{
	{"I1: a decision says Triggered, but there is no run", `
		SELECT d.build_name || ' ' || d.pipeline FROM trigger_decision d
		WHERE d.outcome = 'Triggered' AND NOT EXISTS (
			SELECT FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id WHERE ` + covers + `)`},
	{"I1: a decision waits for a pipeline that does not run", `
		SELECT d.build_name || ' ' || d.pipeline FROM trigger_decision d
		WHERE d.outcome = 'Waiting' AND NOT EXISTS (
			SELECT FROM cd_workflow w WHERE w.build_uid = d.build_uid AND w.pipeline_uid = d.waits_for AND w.outcome IS NULL)`},
	{"I1: a run has no stage", `
		SELECT w.pipeline FROM cd_workflow w
		WHERE NOT EXISTS (SELECT FROM cd_workflow_runner r WHERE r.cd_workflow_id = w.id)`},
	{"I1: a task has ended, and what follows was not committed", `
		SELECT workflow_name FROM task WHERE settled_at IS NULL AND status IN ` + endStates},
	{"I2: a build has two tasks", `
		SELECT min(inputs->>'build') FROM task WHERE kind = 'ci' GROUP BY inputs->>'build_uid' HAVING count(*) > 1`},
	{"I8: an older build was let start after a newer one of its ref, by their tasks", `
		SELECT o.inputs->>'build' FROM task o JOIN ci_build ob ON ob.build_uid = o.inputs->>'build_uid'
		JOIN task n ON n.kind = 'ci' AND n.owner_uid = o.owner_uid AND n.inputs->>'ref' IS NOT DISTINCT FROM o.inputs->>'ref'
		JOIN ci_build nb ON nb.build_uid = n.inputs->>'build_uid'
		WHERE o.kind = 'ci' AND (ob.created_at, ob.seq) < (nb.created_at, nb.seq) AND o.submitted_at > n.submitted_at
			AND EXISTS (SELECT FROM build_turn t WHERE t.pipeline_uid = o.owner_uid AND t.newest_seq > 0)`},
	{"I1: a run has not ended, but none of its stages goes on or is held", `
		SELECT w.pipeline FROM cd_workflow w
		WHERE w.outcome IS NULL AND NOT EXISTS (
			SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
			WHERE r.cd_workflow_id = w.id AND (t.status IN ` + activeStates + ` OR (t.status = 'Held' AND t.reason <> 'StageBefore')
				OR (t.settled_at IS NULL AND t.status <> 'Held')))`},
	{"I1: a run has ended, but one of its stages has not", `
		SELECT w.pipeline || ' ' || r.stage FROM cd_workflow w
		JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id JOIN task t ON t.id = r.task_id
		WHERE w.outcome IS NOT NULL AND t.status NOT IN ` + endStates},
	{"I1: a run has ended otherwise than its stages", `
		SELECT w.pipeline || ' ' || w.outcome FROM cd_workflow w
		WHERE (w.outcome = 'Succeeded' AND EXISTS (
				SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = w.id AND t.status <> 'Succeeded'))
			OR (w.outcome IN ('Failed', 'Error', 'Superseded') AND NOT EXISTS (
				SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = w.id AND t.status = w.outcome))`},
	{"I2: a pipeline runs, but no decision says so", `
		SELECT w.pipeline FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
		WHERE NOT EXISTS (SELECT FROM trigger_decision d
			WHERE d.build_uid = w.build_uid AND d.image = a.image AND d.digest = a.digest AND d.pipeline_uid = w.pipeline_uid
				AND d.outcome = 'Triggered')`},
	{"I2: a pipeline has the same run of an artifact twice", `
		SELECT min(w.pipeline) FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
		GROUP BY w.build_uid, w.pipeline_uid, w.run, a.digest, ` + repositoryOf("a.image") + ` HAVING count(*) > 1`},
	{"I2: a run has a stage twice", `
		SELECT min(w.pipeline || ' ' || r.stage) FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id
		GROUP BY r.cd_workflow_id, r.stage HAVING count(*) > 1`},
	{"I2: two stages point to one task", `
		SELECT min(w.pipeline) FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id
		GROUP BY r.task_id HAVING count(*) > 1`},
	{"I2: two tasks want the same Workflow", `
		SELECT min(workflow_name) FROM task GROUP BY cluster, namespace, workflow_name HAVING count(*) > 1`},
	{"I4: a claim's lease has run out and nobody took it", `
		SELECT workflow_name FROM task WHERE status = 'Submitting' AND lease_until < now()`},
	{"I7: a run has ended, and no event says so", `
		SELECT w.pipeline || ' ' || w.outcome FROM cd_workflow w
		WHERE w.outcome IS NOT NULL AND NOT (
			SELECT count(*) FROM event e WHERE e.kind = 'Run' AND e.run_id = w.id AND e.state = w.outcome)
			BETWEEN 1 AND 1 + (SELECT count(*) FROM event e WHERE e.kind = 'Run' AND e.run_id = w.id AND e.state = 'Reopened')`},
	{"I5: a task was reopened, and its run was not", `
		SELECT t.workflow_name FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id
		WHERE t.reopened > 0 AND NOT EXISTS (SELECT FROM event e WHERE e.kind = 'Run' AND e.run_id = r.cd_workflow_id AND e.state = 'Reopened')`},
	{"I5: a build was reopened", `SELECT workflow_name FROM task WHERE kind <> 'cd' AND reopened > 0`},
	{"I7: something was decided, and no event says so", `
		SELECT d.build_name || ' ' || d.pipeline || ' ' || d.outcome FROM trigger_decision d
		WHERE NOT EXISTS (SELECT FROM event e
			WHERE e.kind = 'Decision' AND e.pipeline_uid = d.pipeline_uid AND e.build_name = d.build_name
				AND e.state = d.outcome AND e.reason = d.reason AND e.message = d.message)`},
	{"I7: a pipeline says that an artifact is deployed, which it is not", deployments + `
		SELECT p.pipeline || ' ' || n.image FROM deployed n JOIN cd_pipeline p ON p.pipeline_uid = n.pipeline_uid
		WHERE NOT EXISTS (SELECT FROM once_deployed d
			WHERE d.run_id = n.run_id AND d.pipeline_uid = n.pipeline_uid AND d.image = n.image AND d.digest = n.digest)`},
	{"I7: an artifact was deployed, and its pipeline says neither that nor what came after it", deployments + `
		SELECT d.pipeline || ' ' || d.image FROM deployments d
		WHERE NOT EXISTS (SELECT FROM deployed n
			WHERE n.pipeline_uid = d.pipeline_uid AND n.repository = ` + repositoryOf("d.image") + `
				AND (n.run_id = d.run_id OR n.at > d.settled_at - interval '1 s'))`},
}

// once_deployed are the artifacts of all DEPLOY stages that succeeded, also of those that
// were retried and failed then: what they had deployed is the last that succeeded.
// deployments are those of stages that have not gone on since.
var deployments = `WITH once_deployed AS (
	SELECT w.id AS run_id, w.pipeline, w.pipeline_uid, d.image, d.digest, t.status, t.settled_at
	FROM cd_workflow w
	JOIN ci_artifact a ON a.id = w.ci_artifact_id
	JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id AND r.stage = 'DEPLOY'
	JOIN task t ON t.id = r.task_id
	JOIN trigger_decision d ON d.outcome = 'Triggered' AND ` + covers + `
	WHERE (t.status = 'Succeeded' AND t.settled_at IS NOT NULL)
		OR (t.reopened > 0 AND EXISTS (SELECT FROM event e WHERE e.kind = 'Task' AND e.task_id = t.id AND e.state = 'Succeeded'))
), deployments AS (SELECT * FROM once_deployed WHERE status = 'Succeeded' AND settled_at IS NOT NULL)`

func rows(ctx context.Context, world World) ([]string, error) {
	var found []string
	for _, rule := range slices.Concat(rules, waveRules, deliveryRules) {
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

func texts(ctx context.Context, world World, query string, args ...any) ([]string, error) {
	rows, err := world.Database.Query(ctx, query, args...)
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
