package store_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// queueVersion is the schema's version that has the queue.
const queueVersion = 3

// migrateTo brings a database to a version of the schema that need not be the newest.
func migrateTo(t *testing.T, config store.Config, version int64) {
	t.Helper()
	newMigrator(t, config) // creates the schema
	db := stdlib.OpenDB(*connectConfig(t, config))
	defer func() { require.NoError(t, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("migrations"))
	require.NoError(t, err)
	_, err = provider.UpTo(t.Context(), version)
	require.NoError(t, err)
}

func connectConfig(t *testing.T, config store.Config) *pgx.ConnConfig {
	t.Helper()
	parsed, err := pgx.ParseConfig(config.URL)
	require.NoError(t, err)
	parsed.RuntimeParams["search_path"] = pgx.Identifier{config.Schema}.Sanitize()
	return parsed
}

// past is a database as it was before the queue had a table of its own.
type past struct {
	t      *testing.T
	s      *store.Store
	config store.Config
}

func newPast(t *testing.T) *past {
	t.Helper()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 4}
	migrateTo(t, config, queueVersion-1)
	s, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return &past{t: t, s: s, config: config}
}

// upgrade brings the database to the newest version.
func (p *past) upgrade() *store.Store {
	p.t.Helper()
	require.NoError(p.t, store.Migrate(p.t.Context(), p.config))
	return p.s
}

// build adds a build that was planned, with artifacts.
func (p *past) build(name string, artifacts int) {
	p.t.Helper()
	build := given.Build(name)
	execute(p.t, p.s, `INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		build.UID, build.Namespace, build.Name, build.CiPipeline, build.Revision, build.Cause, string(build.Phase))
	for _, artifact := range given.Artifacts(artifacts) {
		execute(p.t, p.s, `INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest) VALUES ($1, $2, $3, $4, $5, $6)`,
			build.UID, build.Namespace, build.Name, build.CiPipeline, artifact.Image, artifact.Digest)
	}
}

// pastRun is a run as it was: of the n-th artifact of its build, ended where it has an
// outcome.
type pastRun struct {
	build    string
	artifact int
	pipeline string
	outcome  store.Status
	stages   []pastStage
	// waits means that the stage behind the last waits for a person.
	waits bool
}

type pastStage struct {
	stage    trigger.Stage
	status   store.Status
	followed bool
	// expired means that the lease has run out.
	expired bool
}

// run adds a run, with its stages and its decision, and returns its number.
func (p *past) run(run pastRun) int64 {
	p.t.Helper()
	build, artifact := given.Build(run.build), given.Artifact(run.artifact)
	var id int64
	require.NoError(p.t, p.s.Pool().QueryRow(p.t.Context(), `
		INSERT INTO cd_workflow (ci_artifact_id, namespace, pipeline, pipeline_uid, cause, outcome, finished_at)
		SELECT id, namespace, $3, $4, 'Webhook', NULLIF($5, ''), CASE WHEN $5 <> '' THEN now() - interval '1 min' END
		FROM ci_artifact WHERE build_uid = $1 AND image = $2 RETURNING id`,
		build.UID, artifact.Image, run.pipeline, string(given.UID(run.pipeline)), string(run.outcome)).Scan(&id))
	for _, stage := range run.stages {
		p.stage(id, run, stage)
	}
	outcome, reason := v1alpha1.OutcomeTriggered, string(v1alpha1.ReasonTriggered)
	if run.waits {
		outcome, reason = v1alpha1.OutcomeWaiting, "ManualStage"
	}
	p.decision(run.build, run.artifact, run.pipeline, outcome, reason, "by build "+run.build)
	return id
}

func (p *past) stage(run int64, of pastRun, stage pastStage) {
	p.t.Helper()
	identity := pastIdentity(of.build, of.artifact, of.pipeline, stage.stage)
	execute(p.t, p.s, `
		INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, status, reason, message, workflow_name, attempt, priority, fair_at, available_at,
			claimed_by, lease_until, created_at, submitted_at, started_at, finished_at, followed_at, changed_at)
		SELECT $1, 'default', $2, $3, 'a reason', 'a message', $4, CASE WHEN $3 = 'Pending' THEN 0 ELSE 1 END, 7, now() - interval '3 h', now() - interval '2 h',
			CASE $3 WHEN 'Submitting' THEN 'w' ELSE '' END,
			CASE $3 WHEN 'Submitting' THEN CASE WHEN $5 THEN now() - interval '1 min' ELSE now() + interval '1 h' END END,
			now() - interval '4 h', CASE WHEN $6 > 0 THEN now() - interval '110 min' END, CASE WHEN $6 > 1 THEN now() - interval '100 min' END,
			CASE WHEN $6 > 2 THEN now() - interval '90 min' END, CASE WHEN $7 THEN now() - interval '80 min' END, now() - interval '70 min'`,
		run, string(stage.stage), string(stage.status), trigger.WorkflowName(of.pipeline, identity), stage.expired, progress(stage.status), stage.followed)
}

func (p *past) decision(build string, artifact int, pipeline string, outcome v1alpha1.Outcome, reason, message string) {
	p.t.Helper()
	execute(p.t, p.s, `
		INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message)
		VALUES ($1, $2, $3, 'default', $4, $5, $6, $7, $8, $9)`,
		given.Build(build).UID, given.Artifact(artifact).Image, given.Artifact(artifact).Digest, build, pipeline, string(given.UID(pipeline)),
		string(outcome), reason, message)
}

// pastIdentity is what the Workflow of a stage was known by.
func pastIdentity(build string, artifact int, pipeline string, stage trigger.Stage) trigger.Identity {
	made := given.Artifact(artifact)
	return trigger.Identity{
		BuildUID: given.Build(build).UID, Image: made.Image, Digest: made.Digest, PipelineUID: string(given.UID(pipeline)), Run: 1, Stage: stage,
	}
}

// The names of pipelines that make the names of Workflows hard to derive.
var (
	dotted = "my.app.production"
	long   = strings.Repeat("long-name.", 25) + "end"
)

// everyState adds one run in every state that there was, each of another pipeline of
// build b1, and returns the runs by their pipelines.
func (p *past) everyState() map[string]int64 {
	p.t.Helper()
	p.build("b1", 2)
	runs := map[string]int64{}
	add := func(pipeline string, outcome store.Status, waits bool, stages ...pastStage) {
		runs[pipeline] = p.run(pastRun{build: "b1", pipeline: pipeline, outcome: outcome, stages: stages, waits: waits})
	}
	for _, state := range []store.Status{store.StatusPending, store.StatusSubmitting, store.StatusSubmitted, store.StatusRunning} {
		add(strings.ToLower(string(state)), "", false, pastStage{stage: trigger.StageDeploy, status: state})
	}
	add("expired", "", false, pastStage{stage: trigger.StageDeploy, status: store.StatusSubmitting, expired: true})
	for _, end := range ends {
		name := strings.ToLower(string(end))
		add(name+"-unfollowed", "", false, pastStage{stage: trigger.StageDeploy, status: end})
		add(name+"-followed", end, false, pastStage{stage: trigger.StageDeploy, status: end, followed: true})
	}
	before := pastStage{stage: trigger.StagePre, status: store.StatusSucceeded, followed: true}
	add("in-flight", "", false, before, pastStage{stage: trigger.StageDeploy, status: store.StatusRunning})
	add("pre-ended", "", false, pastStage{stage: trigger.StagePre, status: store.StatusSucceeded})
	add(dotted, "", true, before)
	add(long, "", true, before, pastStage{stage: trigger.StageDeploy, status: store.StatusSucceeded, followed: true})
	p.decision("b1", 0, "below", v1alpha1.OutcomeWaiting, "ParentRunning", "waits for CdPipeline pending to succeed")
	p.decision("b1", 0, "off", v1alpha1.OutcomeSkipped, "Suspended", "spec.suspend is true")
	return runs
}

// pastFamily is the pipelines of everyState, as they are.
func pastFamily() given.Family {
	manual := func(name string) *v1alpha1.CdPipeline {
		return given.CdPipeline(name, given.WithPre, given.WithPost, given.ManualStage(trigger.StageDeploy), given.ManualStage(trigger.StagePost))
	}
	family := given.FamilyOf(
		given.CdPipeline("pending"), given.CdPipeline("submitting"), given.CdPipeline("submitted"), given.CdPipeline("running"), given.CdPipeline("expired"),
		given.CdPipeline("in-flight", given.WithPre, given.WithPost), given.CdPipeline("pre-ended", given.WithPre), manual(dotted), manual(long),
		given.CdPipeline("below", given.BelowCd("pending")), given.CdPipeline("off", given.Suspended),
	)
	for _, end := range ends {
		name := strings.ToLower(string(end))
		family = append(family, *given.CdPipeline(name + "-unfollowed"), *given.CdPipeline(name + "-followed"))
	}
	return family
}

const stageColumns = `t.id, t.namespace, t.status, t.reason, t.message, t.workflow_name, t.attempt, t.priority, t.fair_at, t.available_at,
	t.claimed_by, t.lease_until, t.created_at, t.submitted_at, t.started_at, t.finished_at, t.changed_at`

func TestAnUpgradeKeepsEveryStageAsItWas(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.everyState()
	stages := table(t, p.s, "SELECT "+stageColumns+", t.followed_at, t.cd_workflow_id, t.stage, t.id FROM cd_workflow_runner t ORDER BY t.id")
	require.Len(t, stages, 21)
	runs := table(t, p.s, "SELECT id, ci_artifact_id, pipeline, pipeline_uid, run, cause, created_at, finished_at, outcome FROM cd_workflow ORDER BY id")

	s := p.upgrade()
	require.Equal(t, stages, table(t, s, "SELECT "+stageColumns+`, t.settled_at, r.cd_workflow_id, r.stage, r.id
		FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id WHERE t.status <> 'Held' ORDER BY t.id`))
	require.Equal(t, runs, table(t, s, "SELECT id, ci_artifact_id, pipeline, pipeline_uid, run, cause, created_at, finished_at, outcome FROM cd_workflow ORDER BY id"))
	require.Equal(t, 21, count(t, s, "task WHERE status <> 'Held' AND kind = 'cd' AND cluster = '' AND owner_kind = 'CdPipeline' AND workflow_uid = '' AND queued_at = created_at"))
	require.Equal(t, 2, count(t, s, "task WHERE status = 'Held'"))
	require.Equal(t, 23, count(t, s, "cd_workflow_runner WHERE attempt = 1 AND resumed_by IS NULL"))
	require.Zero(t, count(t, s, "cd_workflow WHERE whole <> (outcome IS NOT NULL) OR artifacts <> 'Each' OR also <> '{}' OR NOT descends"))
	require.Zero(t, count(t, s, "event"), "an upgrade is no transition")
	require.Equal(t, 1, count(t, s, "ci_build WHERE planned_at IS NOT NULL AND deleted_at IS NULL"))
}

func TestAnUpgradedTaskIsKnownByItsIdentity(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	runs := p.everyState()
	runs["another-artifact"] = p.run(pastRun{build: "b1", artifact: 1, pipeline: "pending", stages: []pastStage{{stage: trigger.StagePre, status: store.StatusPending}}})
	s := p.upgrade()
	known := 0
	for pipeline, run := range runs {
		artifact := 0
		if pipeline == "another-artifact" {
			pipeline, artifact = "pending", 1
		}
		for _, stage := range []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost} {
			identity := pastIdentity("b1", artifact, pipeline, stage)
			lines := table(t, s, `SELECT t.identity, t.workflow_name, t.owner_name, t.owner_uid, t.inputs->>'build', t.inputs->>'revision', t.inputs->>'image',
				t.inputs->>'digest', t.inputs->>'stage', t.inputs->>'run'
				FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id WHERE r.cd_workflow_id = $1 AND r.stage = $2`, run, string(stage))
			if len(lines) == 0 {
				continue
			}
			known++
			require.Equal(t, []string{fmt.Sprintln(identity.Hash(), trigger.WorkflowName(pipeline, identity), pipeline, given.UID(pipeline),
				"b1", "main", identity.Image, identity.Digest, stage, run)}, []string{lines[0] + "\n"}, "%s %s", pipeline, stage)
		}
	}
	require.Equal(t, 24, known)
}

func TestAnUpgradeKnowsTurnsPipelinesAndWhatIsDeployed(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	runs := p.everyState()
	p.build("b2", 2)
	ended := []pastStage{{stage: trigger.StageDeploy, status: store.StatusSucceeded, followed: true}}
	newer := p.run(pastRun{build: "b2", pipeline: "succeeded-followed", outcome: store.StatusSucceeded, stages: ended})
	p.run(pastRun{build: "b2", artifact: 1, pipeline: "succeeded-followed", outcome: store.StatusSucceeded, stages: ended})
	p.run(pastRun{build: "b2", pipeline: "running", stages: []pastStage{{stage: trigger.StageDeploy, status: store.StatusPending}}})
	execute(t, p.s, "UPDATE cd_workflow_runner SET finished_at = finished_at + interval '1 min' WHERE cd_workflow_id = $1", newer)
	s := p.upgrade()

	require.Zero(t, count(t, s, "cd_workflow w LEFT JOIN turn t ON t.id = w.turn_id AND t.pipeline_uid = w.pipeline_uid AND t.build_uid = w.build_uid WHERE t.id IS NULL"))
	want := map[string]string{dotted: "Yielded", long: "Yielded", "running": "Active"}
	for pipeline := range runs {
		state := "Active"
		if strings.HasSuffix(pipeline, "-followed") {
			state = "Ended"
		}
		if want[pipeline] != "" {
			state = want[pipeline]
		}
		require.Equal(t, []string{state}, table(t, s, "SELECT DISTINCT state FROM turn WHERE pipeline_uid = $1", string(given.UID(pipeline))), pipeline)
	}
	require.Equal(t, 2, count(t, s, fmt.Sprintf("turn WHERE pipeline_uid = '%s'", given.UID("succeeded-followed"))), "two artifacts of one build share its turn")
	require.Equal(t, 2, count(t, s, fmt.Sprintf("turn WHERE pipeline_uid = '%s' AND state = 'Active'", given.UID("running"))), "what was under way goes on")
	require.Zero(t, count(t, s, "turn WHERE (state = 'Ended') <> (ended_at IS NOT NULL) OR taken_at IS NULL OR asked OR request <> ''"))

	require.Equal(t, table(t, s, "SELECT pipeline_uid, max(id) FROM cd_workflow GROUP BY 1 ORDER BY 1"), table(t, s, "SELECT pipeline_uid, last_run_id FROM cd_pipeline ORDER BY 1"))
	require.Equal(t, []string{"b2"}, table(t, s, `SELECT b.build_name FROM cd_pipeline p JOIN ci_build b ON (b.created_at, b.seq) = (p.newest_at, p.newest_seq)
		WHERE pipeline = 'succeeded-followed'`))
	deployed, err := s.Deployed(t.Context(), []string{string(given.UID("succeeded-followed")), string(given.UID("failed-followed")), string(given.UID(long))})
	require.NoError(t, err)
	require.Len(t, deployed, 2)
	require.Equal(t, []string{given.Artifact(0).Image + " b2", given.Artifact(1).Image + " b2"}, deployedNames(deployed[string(given.UID("succeeded-followed"))]))
	require.Equal(t, []string{given.Artifact(0).Image + " b1"}, deployedNames(deployed[string(given.UID(long))]), "its POST waits")
	require.Equal(t, []string{"below Waiting ParentRunning", dotted + " Triggered Triggered", "off Skipped Suspended", "pending Triggered Triggered"},
		table(t, s, "SELECT pipeline, outcome, reason FROM trigger_decision WHERE pipeline = ANY($1) ORDER BY pipeline", []string{"below", "off", dotted, "pending"}))
}

func deployedNames(deployed []v1alpha1.Deployed) []string {
	var names []string
	for _, one := range deployed {
		names = append(names, one.Image+" "+one.BuildName)
	}
	slices.Sort(names)
	return names
}

func TestAfterAnUpgradeEveryRunGoesOnToItsEnd(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	runs := p.everyState()
	s := p.upgrade()
	family := pastFamily()

	require.Equal(t, []string{"pending DEPLOY 1"}, claimed(claim(t, s, "another", 1)), "it is the only one that waits for a slot")
	reclaimed, err := s.ReclaimExpired(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, reclaimed)
	require.Equal(t, []string{"expired DEPLOY 2"}, claimed(claim(t, s, "another", 1)))
	submitting := table(t, s, "SELECT id FROM task WHERE owner_name = 'submitting'")
	moved, err := s.Complete(t.Context(), "w", []store.Completion{{ID: number(t, submitting[0]), Attempt: 1, Status: store.StatusSubmitted}})
	require.NoError(t, err)
	require.Len(t, moved, 1, "a worker tells after the upgrade what it claimed before")
	for _, pipeline := range []string{dotted, long} {
		resume(t, s, family, pipeline, runs[pipeline])
	}
	for range 4 {
		endActive(t, s, store.StatusSucceeded)
		followAll(t, s, family)
		for _, pipeline := range []string{dotted} { // its POST waits as well
			if count(t, s, "task WHERE status = 'Held' AND reason = 'Person'") > 0 {
				resume(t, s, family, pipeline, runs[pipeline])
			}
		}
	}
	for pipeline, run := range runs {
		outcome := store.StatusSucceeded
		for _, end := range ends {
			if strings.HasPrefix(pipeline, strings.ToLower(string(end))) {
				outcome = end
			}
		}
		require.Equal(t, []string{string(outcome)}, table(t, s, "SELECT outcome FROM cd_workflow WHERE id = $1", run), pipeline)
	}
	require.Equal(t, []string{"PRE", "DEPLOY", "POST"}, table(t, s, "SELECT stage FROM cd_workflow_runner WHERE cd_workflow_id = $1 ORDER BY id", runs[dotted]))
	require.Equal(t, []string{"PRE", "DEPLOY", "POST"}, table(t, s, "SELECT stage FROM cd_workflow_runner WHERE cd_workflow_id = $1 ORDER BY id", runs["in-flight"]))
	require.Equal(t, []string{"PRE", "DEPLOY"}, table(t, s, "SELECT stage FROM cd_workflow_runner WHERE cd_workflow_id = $1 ORDER BY id", runs["pre-ended"]))
	require.Equal(t, []string{"below Triggered Triggered"}, table(t, s, "SELECT pipeline, outcome, reason FROM trigger_decision WHERE pipeline = 'below'"))
	require.Equal(t, []string{"Ended"}, table(t, s, "SELECT DISTINCT state FROM turn"))
	require.Zero(t, count(t, s, "task WHERE settled_at IS NULL"))
}

func claimed(claims []store.Claim) []string {
	var list []string
	for _, claim := range claims {
		list = append(list, fmt.Sprint(claim.Owner.Name, " ", claim.Inputs.Stage, " ", claim.Attempt))
	}
	return list
}

func number(t *testing.T, text string) (n int64) {
	t.Helper()
	_, err := fmt.Sscan(text, &n)
	require.NoError(t, err)
	return n
}

// endActive claims what waits for a slot, and ends the Workflows of everything that is
// under way. Each is seen by its name and identity.
func endActive(t testing.TB, s *store.Store, end store.Status) {
	t.Helper()
	_, err := s.Claim(t.Context(), cd, "w", 1000, lease)
	require.NoError(t, err)
	rows, err := s.Pool().Query(t.Context(), `SELECT namespace, workflow_name, identity FROM task WHERE status IN ('Submitting', 'Submitted', 'Running')`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Observation, error) {
		o := store.Observation{Status: end}
		return o, row.Scan(&o.Namespace, &o.WorkflowName, &o.Identity)
	})
	require.NoError(t, err)
	for i := range all {
		all[i].WorkflowUID = "uid of " + all[i].WorkflowName
	}
	moved, err := s.Observe(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, moved, len(all))
}

// resume lets a stage of the run go on that waits for a person.
func resume(t testing.TB, s *store.Store, family given.Family, pipeline string, run int64) {
	t.Helper()
	request := store.Request{
		Namespace: given.Namespace, Name: fmt.Sprint("resume-", run), SpecHash: fmt.Sprint(count(t, s, "run_request")),
		Action: v1alpha1.ActionResume, Actor: "somebody", Pipeline: refOf(family, pipeline),
	}
	answer, err := s.ResumeStages(t.Context(), request, run, "", holdOf(family, pipeline))
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase, answer.Message)
}

func refOf(family given.Family, name string) store.PipelineRef {
	pipeline := family.CdPipeline(name)
	return store.PipelineRef{UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: name, Policy: pipeline.Spec.ConcurrencyPolicy}
}

// holdOf is what holds stages of a pipeline as it is now.
func holdOf(family given.Family, name string) func(store.Held) trigger.Hold {
	return func(held store.Held) trigger.Hold {
		return trigger.HoldOf(family.CdPipeline(name), held.Stage, held.Resumed)
	}
}

// A build's creation is not known of those that were planned before the upgrade, and a
// build that has not ended yet may be older than their plans.
func TestABuildThatWasUnderWayAtTheUpgradeIsNotTakenForOlderThanAllThatWerePlanned(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.build("b1", 1)
	p.run(pastRun{build: "b1", pipeline: "web", stages: []pastStage{{stage: trigger.StageDeploy, status: store.StatusRunning}}})
	s := p.upgrade()
	family := given.FamilyOf(given.CdPipeline("web"))
	b2 := given.Build("b2")
	b2.CreatedAt = time.Now().Add(-10 * time.Minute) // b1 was planned a moment ago
	plannedBuild(t, s, b2, given.Artifacts(1), family)
	require.Equal(t, []string{"b1 Active", "b2 Waiting"}, turns(t, s))
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"b1 Ended", "b2 Active"}, turns(t, s))
}

func TestABuildThatComesAfterAnUpgradeSupersedesWhatWaitsForAPerson(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.build("b1", 1)
	p.run(pastRun{build: "b1", pipeline: "web", waits: true, stages: []pastStage{{stage: trigger.StagePre, status: store.StatusSucceeded, followed: true}}})
	s := p.upgrade()
	b2 := given.Build("b2")
	b2.CreatedAt = time.Now().Add(-10 * time.Minute)
	plannedBuild(t, s, b2, given.Artifacts(1), given.FamilyOf(given.CdPipeline("web", given.WithPre)))
	require.Equal(t, []string{"b1 Superseded", "b2 Active"}, turns(t, s))
}

// turns are the builds' turns, in the order of the builds' names.
func turns(t testing.TB, s *store.Store) []string {
	t.Helper()
	return table(t, s, "SELECT b.build_name, t.state FROM turn t JOIN ci_build b USING (build_uid) ORDER BY b.build_name, t.id")
}
