package status

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// size is how much the tables hold: each application has one CiPipeline and so many
// CdPipelines, each of its builds one run in each of them, of one stage.
type size struct {
	applications, pipelines, builds int
}

func (s size) runs() int { return s.applications * s.pipelines * s.builds }

// fill writes the rows of builds that have all ended but the last of each application.
// Builds of all applications take turns, so that those of one are far from each other.
func fill(ctx context.Context, pool *pgxpool.Pool, s size) error {
	steps := []string{
		`INSERT INTO ci_pipeline (pipeline_uid, namespace, pipeline, application, spec_hash)
		 SELECT 'ci-' || a, '{namespace}', 'ci-' || a, 'app-' || a, '1' FROM generate_series(1, {applications}) a`,
		`INSERT INTO cd_pipeline (pipeline_uid, namespace, pipeline, application, environment, parent_kind, parent_name, spec_hash)
		 SELECT 'cd-' || a || '-' || p, '{namespace}', 'cd-' || a || '-' || p, 'app-' || a, 'env-' || p, 'CiPipeline', 'ci-' || a, '1'
		 FROM generate_series(1, {applications}) a, generate_series(1, {pipelines}) p`,
		`INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase, created_at, planned_at)
		 SELECT 'b-' || a || '-' || b, '{namespace}', 'b-' || a || '-' || b, 'ci-' || a, 'main', 'Webhook', 'Succeeded', now(), now()
		 FROM generate_series(1, {builds}) b, generate_series(1, {applications}) a ORDER BY b, a`,
		`INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
		 SELECT build_uid, namespace, build_name, ci_pipeline, 'registry.example.com/' || ci_pipeline || ':' || seq, 'sha256:' || md5(build_uid) || md5(build_name)
		 FROM ci_build ORDER BY seq`,
		`INSERT INTO turn (pipeline_uid, build_uid, built_at, build_seq, state, taken_at, ended_at)
		 SELECT 'cd-' || replace(b.ci_pipeline, 'ci-', '') || '-' || p, b.build_uid, b.created_at, b.seq, 'Ended', now(), now()
		 FROM ci_build b, generate_series(1, {pipelines}) p ORDER BY b.seq, p`,
		`INSERT INTO cd_workflow (ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, cause, finished_at, outcome)
		 SELECT a.id, t.build_uid, t.id, a.namespace, t.pipeline_uid, t.pipeline_uid, 'Webhook', now(), CASE WHEN t.id % 50 = 0 THEN 'Failed' ELSE 'Succeeded' END
		 FROM turn t JOIN ci_artifact a ON a.build_uid = t.build_uid ORDER BY t.id`,
		`INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, priority, fair_at, submitted_at, started_at, finished_at, settled_at)
		 SELECT 'cd', w.namespace, 'CdPipeline', w.pipeline, w.pipeline_uid, 'i' || w.id, w.pipeline || '-deploy-' || w.id,
		        jsonb_build_object('run', w.id, 'stage', 'DEPLOY'), w.outcome, 0, now(), now(), now(), now(), now()
		 FROM cd_workflow w ORDER BY w.id`,
		`INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
		 SELECT (inputs->>'run')::bigint, namespace, 'DEPLOY', id FROM task ORDER BY id`,
		`INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message)
		 SELECT a.build_uid, a.image, a.digest, a.namespace, a.build_name, w.pipeline, w.pipeline_uid, 'Triggered', 'Triggered', 'by build ' || a.build_name
		 FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id ORDER BY w.id`,
		`UPDATE cd_pipeline p SET last_run_id = w.id FROM (SELECT pipeline_uid, max(id) AS id FROM cd_workflow GROUP BY 1) w WHERE w.pipeline_uid = p.pipeline_uid`,
		`INSERT INTO deployed (pipeline_uid, repository, run_id, image, digest, build_name)
		 SELECT p.pipeline_uid, 'registry.example.com/' || a.ci_pipeline, p.last_run_id, a.image, a.digest, a.build_name
		 FROM cd_pipeline p JOIN cd_workflow w ON w.id = p.last_run_id JOIN ci_artifact a ON a.id = w.ci_artifact_id`,
		`INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state)
		 SELECT 'Task', t.namespace, b.build_name, t.owner_name, t.owner_uid, r.cd_workflow_id, t.id, 'DEPLOY', t.status
		 FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id JOIN cd_workflow w ON w.id = r.cd_workflow_id JOIN ci_build b ON b.build_uid = w.build_uid
		 ORDER BY t.id`,
	}
	values := strings.NewReplacer("{applications}", strconv.Itoa(s.applications), "{pipelines}", strconv.Itoa(s.pipelines), "{builds}", strconv.Itoa(s.builds), "{namespace}", namespace)
	for i, step := range steps {
		if _, err := pool.Exec(ctx, values.Replace(step)); err != nil {
			return fmt.Errorf("fill the tables, step %d: %w", i+1, err)
		}
	}
	_, err := pool.Exec(ctx, "VACUUM ANALYZE")
	return err
}
