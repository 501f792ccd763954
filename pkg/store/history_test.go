package store_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

// history is what the tables hold after a long time: so many tasks, two of each run, five
// runs of each build, 100 namespaces and 500 pipelines. The runs of the last twentieth of
// the builds have not ended; their numbers modulo 10 say where they are.
type history struct{ tasks int }

// The statements of history. $1 is the number of tasks; (n / 10) is a build's number.
var historyStatements = []string{
	`INSERT INTO ci_pipeline (pipeline_uid, namespace, pipeline) SELECT 'ci-' || n, 'ns-' || n, 'ci-' || n FROM generate_series(0, 99) n`,
	`INSERT INTO cd_pipeline (pipeline_uid, namespace, pipeline, application, parent_kind, parent_name, last_run_id, newest_at)
	 SELECT 'p-' || i, 'ns-' || i % 100, 'p-' || i, 'app-' || i % 50, 'CiPipeline', 'ci-' || i % 100, $1::integer / 2 - i, 'epoch' FROM generate_series(0, 499) i`,
	`INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase, planned_at, created_at, deleted_at)
	 SELECT 'b-' || n, 'ns-' || n % 100, 'build-' || n, 'ci-' || n % 100, 'main', 'Push', 'Succeeded', now() - interval '1 day', now() - interval '200 days' + n * interval '1 s',
	        CASE WHEN n < $1::integer / 10 - 5000 THEN now() - interval '1 day' END
	 FROM generate_series(1, $1::integer / 10) n`,
	`INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
	 SELECT 'b-' || n, 'ns-' || n % 100, 'build-' || n, 'ci-' || n % 100, 'registry/app:' || n, 'sha256:' || n FROM generate_series(1, $1::integer / 10) n`,
	`INSERT INTO turn (pipeline_uid, build_uid, built_at, build_seq, state, taken_at, ended_at)
	 SELECT 'p-' || b % 100 + 100 * k, 'b-' || b, now(), b, CASE WHEN w <= $1::integer / 40 * 19 THEN 'Ended' WHEN w % 10 IN (6, 7) THEN 'Waiting' ELSE 'Active' END, now() - interval '1 day', CASE WHEN w <= $1::integer / 40 * 19 THEN now() - interval '1 day' END
	 FROM (SELECT w, (w - 1) / 5 + 1 AS b, (w - 1) % 5 AS k FROM generate_series(1, $1::integer / 2) w) n`,
	`INSERT INTO cd_workflow (ci_artifact_id, turn_id, build_uid, namespace, pipeline, pipeline_uid, cause, created_at, finished_at, outcome)
	 SELECT b, w, 'b-' || b, 'ns-' || b % 100, 'p-' || b % 100 + 100 * k, 'p-' || b % 100 + 100 * k, 'Push', now() - interval '1 day',
	        CASE WHEN w <= $1::integer / 40 * 19 THEN now() - interval '1 day' END, CASE WHEN w > $1::integer / 40 * 19 THEN NULL WHEN w % 20 = 0 THEN 'Failed' ELSE 'Succeeded' END
	 FROM (SELECT w, (w - 1) / 5 + 1 AS b, (w - 1) % 5 AS k FROM generate_series(1, $1::integer / 2) w) n`,
	`INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, workflow_uid, inputs, status, reason, delayed_by, priority,
	     fair_at, claimed_by, lease_until, submitted_at, finished_at, settled_at, changed_at)
	 SELECT 'cd', 'ns-' || b % 100, 'CdPipeline', 'p-' || b % 100 + 100 * k, 'p-' || b % 100 + 100 * k, 'identity-' || t, 'w-' || t,
	        CASE WHEN ended OR (t % 2 = 1 AND w % 10 IN (8, 9)) THEN 'uid-' || t ELSE '' END,
	        jsonb_build_object('build', 'build-' || b, 'run', w, 'stage', CASE t % 2 WHEN 1 THEN 'DEPLOY' ELSE 'POST' END, 'parent', 'ci-' || b % 100),
	        CASE WHEN ended AND w % 20 = 0 THEN 'Failed' WHEN ended THEN 'Succeeded' WHEN t % 2 = 0 OR w % 10 IN (6, 7) THEN 'Held'
	             WHEN w % 10 < 6 THEN 'Pending' WHEN w % 500 = 9 THEN 'Submitting' WHEN w % 20 = 8 THEN 'Submitted' ELSE 'Running' END,
	        CASE WHEN NOT ended AND t % 2 = 0 THEN 'StageBefore' WHEN NOT ended AND w % 10 = 6 THEN 'Turn' WHEN NOT ended AND w % 10 = 7 THEN 'Window' ELSE '' END,
	        CASE WHEN NOT ended AND t % 2 = 1 AND w % 10 IN (4, 5) THEN 'QuotaExceeded' ELSE '' END, w % 7,
	        now() - interval '1 hour' + t * interval '1 ms', CASE WHEN NOT ended AND w % 500 = 9 THEN 'w' ELSE '' END,
	        CASE WHEN NOT ended AND w % 500 = 9 AND t % 2 = 1 THEN now() + interval '1 hour' END,
	        CASE WHEN ended OR (t % 2 = 1 AND w % 10 IN (8, 9)) THEN now() - interval '1 hour' END, CASE WHEN ended THEN now() - interval '1 day' END,
	        CASE WHEN ended AND w % 25000 <> 0 THEN now() END, now() - interval '1 hour'
	 FROM (SELECT t, (t + 1) / 2 AS w, (t + 9) / 10 AS b, ((t + 1) / 2 - 1) % 5 AS k, (t + 1) / 2 <= $1::integer / 40 * 19 AS ended FROM generate_series(1, $1::integer) t) n`,
	// Builds that ran here, of which the last of each thousand has not ended.
	`INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase, planned_at, created_at, ref)
	 SELECT 'built-' || n, 'ns-' || n % 100, 'built-' || n, 'ci-' || n % 100, 'main', 'Push', 'Succeeded', now(), now() - interval '1 day', 'main' FROM generate_series(1, $1::integer / 10) n`,
	`INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, workflow_uid, inputs, status, reason, priority, fair_at, submitted_at, finished_at, settled_at, changed_at)
	 SELECT 'ci', 'ns-' || n % 100, 'CiPipeline', 'ci-' || n % 100, 'ci-' || n % 100, 'built-' || n, 'built-' || n, 'uid-built-' || n,
	        jsonb_build_object('build', 'built-' || n, 'build_uid', 'built-' || n, 'stage', 'BUILD', 'ref', 'main'),
	        CASE WHEN n % 1000 = 0 THEN 'Held' ELSE 'Succeeded' END, CASE WHEN n % 1000 = 0 THEN 'Turn' ELSE '' END, 0, now(), now(),
	        CASE WHEN n % 1000 <> 0 THEN now() - interval '1 day' END, CASE WHEN n % 1000 <> 0 AND n % 5000 <> 1 THEN now() END, now() - interval '1 hour'
	 FROM generate_series(1, $1::integer / 10) n`,
	`INSERT INTO build_turn (pipeline_uid, ref) SELECT 'ci-' || n % 100, 'ref-' || n FROM generate_series(1, $1::integer / 100) n`,
	`INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
	 SELECT (t + 1) / 2, 'ns-' || (t + 9) / 10 % 100, CASE t % 2 WHEN 1 THEN 'DEPLOY' ELSE 'POST' END, t FROM generate_series(1, $1::integer) t`,
	// Transactions that are over, in the order of the ids.
	`INSERT INTO event (xid, at, kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state)
	 SELECT (t / ($1::integer / 200) + 3)::text::xid8, now() - interval '1 day', 'Task', 'ns-' || (t + 9) / 10 % 100, 'build-' || (t + 9) / 10, 'p-' || (t + 9) / 10 % 100,
	        'p-' || (t + 9) / 10 % 100, (t + 1) / 2, t, 'DEPLOY', 'Running' FROM generate_series(1, $1::integer) t`,
	`INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message, waits_for, decided_at)
	 SELECT 'b-' || b, 'registry/app:' || b, 'sha256:' || b, 'ns-' || b % 100, 'build-' || b, 'p-' || b % 100 + 100 * k, 'p-' || b % 100 + 100 * k,
	        CASE w % 50 WHEN 0 THEN 'Waiting' ELSE 'Triggered' END, 'Triggered', '', CASE w % 50 WHEN 0 THEN 'p-' || b % 100 ELSE '' END, now() - interval '1 day'
	 FROM (SELECT w, (w - 1) / 5 + 1 AS b, (w - 1) % 5 AS k FROM generate_series(1, $1::integer / 2) w) n`,
	`INSERT INTO deployed (pipeline_uid, repository, run_id, image, digest, build_name)
	 SELECT pipeline_uid, 'registry/app', id, 'registry/app:1', 'sha256:1', 'build-1' FROM cd_workflow WHERE id BETWEEN $1::integer / 40 * 19 - 499 AND $1::integer / 40 * 19 ON CONFLICT DO NOTHING`,
	`INSERT INTO run_request (namespace, name, spec_hash, action, phase, message, actor, reason)
	 SELECT 'ns-' || n % 100, 'request-' || n, 'hash', 'Trigger', 'Done', '', '', '' FROM generate_series(1, $1::integer / 10) n`,
	`INSERT INTO cluster_event (cluster_uid, cluster, phase, reason, occurred_at)
	 SELECT 'c-' || n % 1000, 'c-' || n % 1000, 'Healthy', '', now() - interval '1 day' FROM generate_series(1, $1::integer / 10) n`,
	`INSERT INTO notification (namespace, policy, channel, group_key, seq, type, items, events, wanted, sent, state, due_at, created_at, changed_at)
	 SELECT 'ns-' || n % 100, 'policy', 'channel-' || n % 5, 'build/b-' || n % 5000, n / 5000 + 1, 'RunFailed', '[{"type":"RunFailed"}]', 1, 1, CASE n % 1000 WHEN 0 THEN 0 ELSE 1 END,
	        CASE WHEN n % 1000 = 0 THEN 'Waiting' WHEN n % 1000 = 1 THEN 'GivenUp' ELSE 'Sent' END, CASE n % 1000 WHEN 0 THEN now() - interval '1 minute' END,
	        now() - interval '1 day' + n * interval '1 ms', now() - interval '1 day'
	 FROM generate_series(1, $1::integer / 10) n`,
	`INSERT INTO receiver (receiver_uid, namespace, name, path, type, spec, generation, suspended)
	 SELECT 'r-' || n, 'ns-' || n % 100, 'receiver-' || n, 'path-' || n, 'github', '{}', 1, false FROM generate_series(0, 199) n`,
	`INSERT INTO webhook_delivery (receiver_uid, namespace, receiver, delivery_id, origin, body_hash, body_key, type, event, headers, body, repository, received_at, status, due_at, claimed_by)
	 SELECT 'r-' || n % 200, 'ns-' || n % 100, 'receiver-' || n % 200, 'd-' || n, 'd-' || n, 'hash-' || n, 'day hash-' || n, 'github', 'push', '{}', 'body', 'repository-' || n % 20,
	        now() - interval '6 days', CASE WHEN n % 1000 = 0 THEN 'Received' WHEN n % 50 = 1 THEN 'Failed' ELSE 'Done' END, now() - interval '6 days', ''
	 FROM generate_series(1, $1::integer / 10) n`,
	// Half of the base images are gone. Each has had a hundred waves of as many pipelines as there
	// are per image; the newest of every tenth goes on.
	`INSERT INTO base_image (image_uid, namespace, name, image, repository, tag, digest, wave, deleted_at)
	 SELECT 'i-' || n, 'ns-' || n % 100, 'debian-' || n, 'debian:12', 'debian', '12', 'sha256:b', 100, CASE WHEN n >= 100 THEN now() - interval '1 day' END FROM generate_series(0, 199) n`,
	`INSERT INTO wave (image_uid, number, digest, state, started_at, ended_at)
	 SELECT 'i-' || n / 100, n % 100 + 1, 'sha256:' || n, CASE WHEN n % 1000 = 99 THEN 'Running' ELSE 'Succeeded' END, now() - interval '1 day', CASE WHEN n % 1000 <> 99 THEN now() - interval '1 day' END
	 FROM generate_series(0, 19999) n`,
	`INSERT INTO wave_item (image_uid, number, pipeline_uid, namespace, pipeline, build_name, build_uid, state, ended_at)
	 SELECT 'i-' || w / 100, w % 100 + 1, 'ci-' || (w / 100 + k) % 100, 'ns-' || (w / 100 + k) % 100, 'ci-' || (w / 100 + k) % 100, 'build-' || w * 10 + k, CASE WHEN w % 1000 = 99 THEN '' ELSE 'b-' || w * 10 + k END,
	        CASE WHEN w % 1000 = 99 THEN 'Building' ELSE 'Succeeded' END, CASE WHEN w % 1000 <> 99 THEN now() - interval '1 day' END
	 FROM generate_series(0, $1::integer / 10 - 1) n, LATERAL (SELECT n % 20000 AS w, n / 20000 AS k) x`,
	`INSERT INTO worker (name, replica) VALUES ('w', 'r')`,
}

// fill fills the tables without their indexes, which are made afterwards, and without a log:
// that is quicker.
func (h history) fill(t *testing.T, s *store.Store) {
	t.Helper()
	connection, err := s.Pool().Acquire(t.Context())
	require.NoError(t, err)
	defer connection.Release()
	run := func(statement string) {
		_, err := connection.Exec(t.Context(), strings.ReplaceAll(statement, "$1::integer", strconv.Itoa(h.tasks)))
		require.NoError(t, err, statement)
	}
	run("SET maintenance_work_mem = '256MB'")
	restore := dropIndexes(t, connection.Conn())
	for table := range grows {
		run("ALTER TABLE " + table + " SET UNLOGGED")
	}
	for _, statement := range slices.Concat(historyStatements, restore) {
		run(statement)
	}
	run("VACUUM ANALYZE")
}

// dropIndexes drops every constraint and index, and returns the statements that make them
// anew, but for foreign keys.
func dropIndexes(t *testing.T, connection *pgx.Conn) (restore []string) {
	t.Helper()
	constraints := `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname),
	    CASE c.contype WHEN 'f' THEN '' ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) END
	    FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
	    WHERE c.connamespace = 'penstock'::regnamespace AND c.contype IN ('f', 'p', 'u') AND r.relname <> 'goose_db_version'
	    ORDER BY c.contype = 'f' DESC, c.conname`
	indexes := `SELECT format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
	    FROM pg_index i JOIN pg_class r ON r.oid = i.indrelid
	    WHERE r.relnamespace = 'penstock'::regnamespace AND r.relkind = 'r' AND r.relname <> 'goose_db_version'
	      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)`
	for _, query := range []string{indexes, constraints} {
		rows, err := connection.Query(t.Context(), query)
		require.NoError(t, err)
		pairs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pair [2]string, err error) {
			return pair, row.Scan(&pair[0], &pair[1])
		})
		require.NoError(t, err)
		for _, pair := range pairs {
			_, err := connection.Exec(t.Context(), pair[0])
			require.NoError(t, err)
			if pair[1] != "" {
				restore = append(restore, pair[1])
			}
		}
	}
	require.Greater(t, len(restore), 20)
	return restore
}

// runs are the numbers of the first runs that have not ended and that are at this place.
func (h history) runs(place, most int) []int {
	var found []int
	for run := h.tasks/40*19 + 1; run <= h.tasks/2 && len(found) < most; run++ {
		if run%10 == place {
			found = append(found, run)
		}
	}
	return found
}

// old are the numbers of runs that have ended, spread over all.
func (h history) old(most int) []int {
	found := make([]int, most)
	for i := range found {
		found[i] = 1 + i*(h.tasks/40*19/most)
	}
	return found
}

// builds are numbers of builds that ran here whose remainder by 1000 is this, spread over all.
func (h history) builds(remainder, most int) []int {
	var found []int
	for build := 1000 + remainder; build <= h.tasks/10 && len(found) < most; build += 1000 {
		found = append(found, build)
	}
	return found
}

// tasksOfBuilds are the ids of their tasks, which come after all others.
func (h history) tasksOfBuilds(builds []int) arguments {
	return arguments{"ids": array(builds, func(build int) string { return fmt.Sprint(h.tasks + build) })}
}

// array is the text of a Postgres array.
func array[T any](of []T, text func(T) string) string {
	parts := make([]string, len(of))
	for i, one := range of {
		parts[i] = text(one)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// as formats a number.
func as(format string) func(int) string { return func(n int) string { return fmt.Sprintf(format, n) } }
