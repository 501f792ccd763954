package oracle_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
)

func TestAWorldInOrderHasNoViolation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.log(s.workflow.Name, 201, 409, 503)
	s.limits, s.connections = &oracle.Limits{InFlight: 1, Connections: 10, WritesPerSecond: 1, WriteBurst: 3}, 10
	// What is not ours is none of the oracle's business.
	s.more = []client.Object{s.copied("foreign", map[string]string{v1alpha1.LabelIdentity: ""})}
	violations, err := oracle.Violations(t.Context(), s.world())
	require.NoError(t, err)
	require.Empty(t, violations)
	oracle.Check(t, s.world())
}

// copied is the scene's Workflow under another name, with labels changed.
func (s *scene) copied(name string, labels map[string]string) client.Object {
	workflow := s.workflow.DeepCopy()
	workflow.Name = name
	for key, value := range labels {
		workflow.Labels[key] = value
	}
	return workflow
}

// ended is a build that has ended, and that carries no condition.
func ended(name string, phase v1alpha1.BuildPhase) *v1alpha1.CiBuild {
	return given.CiBuild(name, func(build *v1alpha1.CiBuild) { build.UID, build.Status.Phase = given.UID(name), phase })
}

// aged is a child that is older than any plan.
func aged(name string) client.Object {
	return given.CdPipeline(name, func(pipeline *v1alpha1.CdPipeline) {
		pipeline.CreationTimestamp = metav1.Unix(1, 0)
	})
}

func TestWhatIsRightIsNoViolation(t *testing.T) {
	t.Parallel()
	for sentence, right := range map[string]func(s *scene){
		"a build that waits for its CiPipeline": func(s *scene) {
			s.more = []client.Object{ended("early", v1alpha1.BuildSucceeded)}
		},
		"a build that runs": func(s *scene) {
			s.more = []client.Object{given.CiPipeline(given.CI), ended("runs", v1alpha1.BuildRunning)}
		},
		"a build whose rows were lost, and that says so": func(s *scene) {
			build := given.CiBuild("lost", func(build *v1alpha1.CiBuild) {
				build.Status.Phase = v1alpha1.BuildSucceeded
				build.Status.Conditions = []metav1.Condition{{
					Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonRecordsLost),
				}}
			})
			s.more = []client.Object{given.CiPipeline(given.CI), build}
		},
		"a child that was created after the plan": func(s *scene) {
			late := given.CdPipeline("late", func(pipeline *v1alpha1.CdPipeline) {
				pipeline.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Hour))
			})
			s.more = []client.Object{s.build, late}
		},
		"a child that was hung below the CiPipeline later": func(s *scene) {
			moved := aged("moved")
			moved.SetGeneration(2)
			s.more = []client.Object{s.build, moved}
		},
		"a run that waits for a person": func(s *scene) {
			pipeline := given.CdPipeline("manual", given.ManualStage(trigger.StageDeploy))
			s.planBuild("b2", given.FamilyOf(pipeline), given.Artifact(0))
			s.told(pipeline)
			s.more = []client.Object{pipeline, s.planned("b2")}
		},
		"two tags of one digest in one run": func(s *scene) {
			other := given.Artifact(0)
			other.Image = trigger.Repository(other.Image) + ":latest"
			pipeline := given.CdPipeline("shop")
			s.planBuild("b2", given.FamilyOf(pipeline), given.Artifact(0), other)
			s.told(pipeline)
			s.more = []client.Object{pipeline, s.planned("b2")}
		},
		"all artifacts in one run": func(s *scene) {
			pipeline := given.CdPipeline("shop", given.AllArtifacts)
			s.planBuild("b2", given.FamilyOf(pipeline), given.Artifacts(3)...)
			s.told(pipeline)
			s.more = []client.Object{pipeline, s.planned("b2")}
		},
		"a stage that is tried again": func(s *scene) {
			s.retry()
			s.build.Status.Triggers = s.planned("b1").Status.Triggers
			s.build.Status.Conditions = s.planned("b1").Status.Conditions
			meta.SetStatusCondition(&s.build.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionTriggered, Status: metav1.ConditionTrue})
			require.Equal(s, "3/3", s.build.Status.Triggers.Progress)
		},
		"a Workflow of the wanted name that is somebody else's": func(s *scene) {
			claim := s.refuse(v1alpha1.ReasonNameConflict)
			s.build.Status.Triggers.Pending, s.build.Status.Triggers.Waiting, s.build.Status.Triggers.Failed = 0, 0, 1
			finish(&s.build.Status)
			foreign := s.copied(claim.WorkflowName, map[string]string{v1alpha1.LabelIdentity: "another"})
			foreign.SetUID("foreign")
			s.more = []client.Object{foreign}
		},
		"a Workflow of ours whose labels are gone": func(s *scene) { s.workflow.Labels = nil },
		"a second build that waits for its turn":   func(s *scene) { s.second(given.CdPipeline("web-000")) },
		"a second build that does not wait, as the pipeline allows": func(s *scene) {
			s.second(given.CdPipeline("web-000", given.Concurrency(v1alpha1.ConcurrencyAllow)))
		},
		"an older build that somebody asked for": func(s *scene) {
			s.second(given.CdPipeline("web-001"))
			s.execute("UPDATE turn SET asked = true, build_seq = 0 WHERE build_uid = $1", string(given.UID("b2")))
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			right(s)
			violations, err := oracle.Violations(t.Context(), s.world())
			require.NoError(t, err)
			require.Empty(t, violations)
		})
	}
}

func TestEveryBrokenPromiseIsNamed(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		spoil func(s *scene)
		want  []string
	}{
		"I1: a triggered decision without its run": {
			func(s *scene) { s.execute("UPDATE cd_workflow SET pipeline_uid = 'other' WHERE pipeline = 'web-002'") },
			[]string{"I1: a decision says Triggered, but there is no run: b1 web-002"},
		},
		"I1: an artifact that is part of no run": {
			func(s *scene) {
				s.execute(`INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message)
					SELECT build_uid, image, 'another', namespace, build_name, pipeline, pipeline_uid, outcome, 'SameRun', message
					FROM trigger_decision WHERE pipeline = 'web-002'`)
			},
			[]string{"I1: a decision says Triggered, but there is no run: b1 web-002"},
		},
		"I1: an artifact that the run of all artifacts was not given": {
			func(s *scene) {
				s.planBuild("b2", given.FamilyOf(given.CdPipeline("shop", given.AllArtifacts)), given.Artifacts(2)...)
				s.execute("UPDATE cd_workflow SET also = '{}'")
			},
			[]string{"I1: a decision says Triggered, but there is no run: b2 shop"},
		},
		"I1: a run without a stage": {
			func(s *scene) { s.execute("DELETE FROM cd_workflow_runner WHERE task_id = $1", s.pending) },
			[]string{"I1: a run has no stage: web-002", "I1: a run has not ended, but none of its stages goes on or is held: web-002"},
		},
		"I1: a run without one of its stages": {
			func(s *scene) { s.more = []client.Object{given.CdPipeline("web-002", given.WithPre)} },
			[]string{"I1: a run of CdPipeline web-002 has the stages [DEPLOY], want [PRE DEPLOY]"},
		},
		"I1: an end that nobody followed": {
			func(s *scene) {
				s.execute("UPDATE task SET settled_at = NULL, workflow_name = 'ended' WHERE id = $1", s.succeeded)
			},
			[]string{"I1: a task has ended, and what follows was not committed: ended"},
		},
		"I1: a build that says Planned without its plan": {
			func(s *scene) { s.build.UID = "other" },
			[]string{"I1: CiBuild b1 says Planned, but has no plan"},
		},
		"I1: an end after which nothing came": {
			func(s *scene) { s.execute("UPDATE cd_workflow SET outcome = NULL") },
			[]string{"I1: a run has not ended, but none of its stages goes on or is held: web-001"},
		},
		"I1: a stage that waits for one that will not come": {
			func(s *scene) {
				s.execute("UPDATE task SET status = 'Held', reason = 'StageBefore' WHERE id = $1", s.pending)
			},
			[]string{"I1: a run has not ended, but none of its stages goes on or is held: web-002"},
		},
		"I1: a run that ends before its stage": {
			func(s *scene) { s.execute("UPDATE cd_workflow SET outcome = 'Cancelled' WHERE pipeline = 'web-002'") },
			[]string{"I1: a run has ended, but one of its stages has not: web-002 DEPLOY", "I7: a run has ended, and no event says so: web-002 Cancelled"},
		},
		"I1: a run that ends otherwise than its stage": {
			func(s *scene) { s.execute("UPDATE cd_workflow SET outcome = 'Failed' WHERE pipeline = 'web-001'") },
			[]string{"I1: a run has ended otherwise than its stages: web-001 Failed"},
		},
		"I1: a run that succeeds without its stage": {
			func(s *scene) { s.execute("UPDATE task SET status = 'Failed' WHERE id = $1", s.succeeded) },
			[]string{"I1: a run has ended otherwise than its stages: web-001 Succeeded"},
		},
		"I1: a build that has ended and was not planned": {
			func(s *scene) {
				s.more = []client.Object{given.CiPipeline(given.CI), ended("lost", v1alpha1.BuildFailed)}
			},
			[]string{"I1: CiBuild lost has ended as Failed, but was not planned"},
		},
		"I1: a build that was only seen": {
			func(s *scene) { s.execute("UPDATE ci_build SET planned_at = NULL") },
			[]string{"I1: CiBuild b1 says Planned, but has no plan"},
		},
		"I1: a child that the plan forgot": {
			func(s *scene) {
				s.more = []client.Object{s.build, aged("forgotten"), aged("web-000")}
			},
			[]string{"I1: CiBuild b1 has 0 decisions on CdPipeline forgotten, want 1"},
		},
		"I1: a child that the plan forgot for one artifact": {
			func(s *scene) {
				s.execute("INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)" +
					" SELECT build_uid, namespace, build_name, ci_pipeline, 'second', 'digest' FROM ci_artifact")
				s.more = []client.Object{s.build, aged("web-000")}
			},
			[]string{"I1: CiBuild b1 has 1 decisions on CdPipeline web-000, want 2"},
		},
		"I1: a child that still waits for a parent that has succeeded": {
			func(s *scene) { s.chain("web-001") },
			[]string{
				"I1: build b1 waits in CdPipeline below for a parent that does not run",
				"I1: build b1 has succeeded in the parent of CdPipeline below, and there is Waiting/ParentRunning",
			},
		},
		"I1: a child on which nothing was decided when its parent had succeeded": {
			func(s *scene) {
				s.chain("web-001")
				s.execute("DELETE FROM trigger_decision WHERE pipeline = 'below'")
			},
			[]string{"I1: build b1 has succeeded in the parent of CdPipeline below, and there is nothing decided"},
		},
		"I1: a turn that waits for nobody": {
			func(s *scene) {
				s.second(given.CdPipeline("web-000"))
				s.execute("UPDATE turn SET state = 'Ended' WHERE state = 'Active'")
			},
			[]string{"I1: a build waits for its turn, and nobody has it: web-000 b2", "I8: a turn is not where its runs are: web-000 b1 is Ended, and its runs are Active"},
		},
		"I2: a run that was never decided": {
			func(s *scene) {
				s.execute("UPDATE trigger_decision SET outcome = 'Skipped' WHERE pipeline = 'web-001'")
			},
			[]string{"I2: a pipeline runs, but no decision says so: web-001", "I7: something was decided, and no event says so: b1 web-001 Skipped"},
		},
		"I2: a run twice": {
			func(s *scene) {
				s.dropConstraint("cd_workflow", "cd_workflow_ci_artifact_id_pipeline_uid_run_key")
				s.execute(`INSERT INTO cd_workflow (ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, run, cause)
					SELECT ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, run, cause FROM cd_workflow WHERE pipeline = 'web-000'`)
			},
			[]string{"I2: a pipeline has the same run of an artifact twice: web-000"},
		},
		"I2: a run for each tag of one digest": {
			func(s *scene) {
				s.execute(`WITH other AS (
					INSERT INTO ci_artifact (build_uid, namespace, build_name, ci_pipeline, image, digest)
					SELECT build_uid, namespace, build_name, ci_pipeline, regexp_replace(image, ':[^:]*$', ':other'), digest FROM ci_artifact RETURNING id)
					INSERT INTO cd_workflow (ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, run, cause)
					SELECT other.id, build_uid, turn_id, namespace, pipeline, pipeline_uid, run, cause FROM cd_workflow, other WHERE pipeline = 'web-000'`)
			},
			[]string{"I2: a pipeline has the same run of an artifact twice: web-000"},
		},
		"I2: a stage twice": {
			func(s *scene) {
				s.dropConstraint("cd_workflow_runner", "cd_workflow_runner_cd_workflow_id_stage_key")
				s.execute("DROP INDEX cd_workflow_runner_task")
				s.execute(`INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
					SELECT cd_workflow_id, namespace, stage, task_id FROM cd_workflow_runner WHERE task_id = $1`, s.pending)
			},
			[]string{"I2: a run has a stage twice: web-002 DEPLOY", "I2: two stages point to one task: web-002"},
		},
		"I2: two tasks of one Workflow's name": {
			func(s *scene) {
				s.dropConstraint("task", "task_namespace_workflow_name_cluster_key")
				s.execute("UPDATE task SET workflow_name = 'same' WHERE id = ANY($1)", []int64{s.pending, s.succeeded})
			},
			[]string{"I2: two tasks want the same Workflow: same"},
		},
		"I3: two Workflows of one task on two API servers": {
			func(s *scene) { s.more = []client.Object{s.copied(s.workflow.Name, nil)} },
			[]string{"I3: task 1 has two Workflows default/web-000"},
		},
		"I3: a Workflow that was made twice": {
			func(s *scene) { s.log("twice", 201, 409, 201) },
			[]string{"I3: Workflow default/twice was made more than once"},
		},
		"I3: a Workflow that is another than the first": {
			func(s *scene) { s.workflow.UID = "second" },
			[]string{"I3: Workflow default/web-000", "is another than the one that task 1 has made"},
		},
		"I4: a Workflow that no task wants": {
			func(s *scene) {
				s.more = []client.Object{s.copied("stray-"+s.workflow.Labels[v1alpha1.LabelIdentity][:16], nil)}
			},
			[]string{"I4: Workflow default/stray-", "carries an identity, but no task wants it"},
		},
		"I4: a Workflow in another namespace than its task": {
			func(s *scene) { s.workflow.Namespace = "elsewhere" },
			[]string{"I4: Workflow elsewhere/web-000", "I4: task 1 is Submitted, but its Workflow default/web-000"},
		},
		"I4: a Submitted task whose Workflow is somebody else's": {
			func(s *scene) { s.workflow.Labels[v1alpha1.LabelIdentity], s.workflow.UID = "x", "theirs" },
			[]string{"I4: task 1 is Submitted, but its Workflow default/"},
		},
		"I4: a Workflow that goes on after its task": {
			func(s *scene) { s.execute("UPDATE task SET status = 'Cancelled' WHERE id = $1", s.submitted) },
			[]string{"I4: Workflow default/web-000", "goes on, but its task 1 is Cancelled"},
		},
		"I4: a lease that ran out": {
			func(s *scene) {
				s.execute(`UPDATE task SET status = 'Submitting', workflow_name = 'stuck', lease_until = now() - interval '1 s'
					WHERE id = $1`, s.pending)
			},
			[]string{"I4: a claim's lease has run out and nobody took it: stuck"},
		},
		"I5: an end that was taken back": {
			func(s *scene) {
				s.execute("UPDATE task SET status = 'Running' WHERE id = $1", s.succeeded)
				s.execute("UPDATE task SET status = 'Succeeded' WHERE id = $1", s.succeeded)
			},
			[]string{`I5: task 2 went from "Succeeded" to "Running", reopened 0 time(s)`},
		},
		"I7: a Workflow that nobody takes up, of which its build does not tell": {
			func(s *scene) {
				s.execute("UPDATE task SET status = 'Submitted', submitted_at = now() WHERE id = $1", s.pending)
				s.execute("UPDATE task SET reason = 'NotTakenUp' WHERE id = $1", s.submitted)
			},
			[]string{"I7: task 1 became Submitted/NotTakenUp 1 time(s), and events say 0"},
		},
		"I5: a task that counts as reopened and has not ended": {
			func(s *scene) { s.execute("UPDATE task SET reopened = 1 WHERE id = $1", s.submitted) },
			[]string{`I5: task 1 went from "Submitted" to "Submitted", reopened 1 time(s)`},
		},
		"I5: a task that was reopened, and whose run was not": {
			func(s *scene) {
				s.execute("UPDATE task SET status = 'Running', reopened = 1 WHERE id = $1", s.succeeded)
				s.execute("UPDATE task SET status = 'Succeeded' WHERE id = $1", s.succeeded)
			},
			[]string{"I5: a task was reopened, and its run was not"},
		},
		"I5: an end that leads back into the queue": {
			func(s *scene) {
				s.execute("UPDATE task SET status = 'Pending', reopened = 1 WHERE id = $1", s.succeeded)
			},
			[]string{`I5: task 2 went from "Succeeded" to "Pending", reopened 1 time(s)`},
		},
		"I5: a step backwards": {
			func(s *scene) { s.execute("UPDATE task SET status = 'Pending' WHERE id = $1", s.submitted) },
			[]string{`I5: task 1 went from "Submitted" to "Pending"`},
		},
		"I5: a task that is held after it was submitted": {
			func(s *scene) { s.execute("UPDATE task SET status = 'Held' WHERE id = $1", s.submitted) },
			[]string{`I5: task 1 went from "Submitted" to "Held"`},
		},
		"I5: a task that was deleted": {
			func(s *scene) {
				s.execute("DELETE FROM cd_workflow_runner WHERE task_id = $1", s.pending)
				s.execute("DELETE FROM task WHERE id = $1", s.pending)
			},
			[]string{`I5: task 3 went from "Pending" to ""`},
		},
		"I5: a task that was born in the middle": {
			func(s *scene) {
				s.execute(`INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, status, priority, fair_at)
					VALUES ('cd', 'default', 'CdPipeline', 'web', 'web', 'born', 'born', 'Submitting', 0, now())`)
			},
			[]string{`went from "" to "Submitting"`},
		},
		"I7: a transition of which no event tells": {
			func(s *scene) { s.execute("DELETE FROM event WHERE task_id = $1 AND state = 'Succeeded'", s.succeeded) },
			[]string{"I7: task 2 became Succeeded 1 time(s), and events say 0"},
		},
		"I7: an event of what never was": {
			func(s *scene) {
				s.execute("INSERT INTO event (kind, namespace, task_id, state, reason) VALUES ('Task', 'default', $1, 'Failed', 'WorkflowFailed')", s.pending)
			},
			[]string{"I7: task 3 became Failed/WorkflowFailed 0 time(s), and events say 1"},
		},
		"I7: a claim that was given back for a reason, and no event": {
			func(s *scene) {
				s.execute("UPDATE task SET status = 'Submitting' WHERE id = $1", s.pending)
				s.execute("UPDATE task SET status = 'Pending', reason = 'SubmissionDelayed', failures = 1 WHERE id = $1", s.pending)
			},
			[]string{"I7: task 3 became Pending/SubmissionDelayed 1 time(s), and events say 0"},
		},
		"I7: a claim of what is to be stopped that was given back for a reason, and no event": {
			func(s *scene) {
				s.execute("UPDATE task SET status = 'Submitting', stop_reason = 'Cancelled' WHERE id = $1", s.pending)
				s.execute("-- name: CompleteTasks :many\nUPDATE task SET status = 'Pending', reason = 'SubmissionDelayed' WHERE id = $1", s.pending)
			},
			[]string{"I7: task 3 became Pending/SubmissionDelayed 1 time(s), and events say 0"},
		},
		"I7: what is deployed and no pipeline says so": {
			func(s *scene) { s.execute("DELETE FROM deployed") },
			[]string{"I7: an artifact was deployed, and its pipeline says neither that nor what came after it: web-001 " + given.Artifact(0).Image},
		},
		"I7: what a pipeline says is deployed and is not": {
			func(s *scene) { s.execute("UPDATE deployed SET digest = 'other'") },
			[]string{"I7: a pipeline says that an artifact is deployed, which it is not: web-001 " + given.Artifact(0).Image},
		},
		"I8: two builds that have their turn at once": {
			func(s *scene) {
				s.second(given.CdPipeline("web-000"))
				s.execute("UPDATE turn SET state = 'Active' WHERE state = 'Waiting'")
			},
			[]string{"I8: builds b1 and b2 had their turn in CdPipeline web-000 at once"},
		},
		"I8: an older build that has its turn after a newer one": {
			func(s *scene) {
				s.second(given.CdPipeline("web-001"))
				s.execute("UPDATE turn SET build_seq = 0 WHERE build_uid = $1", string(given.UID("b2")))
			},
			[]string{"I8: build b2 had its turn in CdPipeline web-001 after the newer build b1"},
		},
		"I8: an older build by its creation": {
			func(s *scene) {
				s.second(given.CdPipeline("web-001"))
				s.execute("UPDATE turn SET built_at = now() WHERE build_uid = $1", string(given.UID("b1")))
			},
			[]string{"I8: build b2 had its turn in CdPipeline web-001 after the newer build b1"},
		},
		"I8: a task that begins out of turn": {
			func(s *scene) {
				s.second(given.CdPipeline("web-000"))
				s.execute("UPDATE task SET status = 'Pending', reason = '' WHERE status = 'Held'")
			},
			[]string{"I8: a task of build b2 began in CdPipeline web-000 while one of another build was under way"},
		},
		"I8: a turn that yields while its run goes on": {
			func(s *scene) { s.execute("UPDATE turn SET state = 'Yielded' WHERE state = 'Active'") },
			[]string{"I8: a turn is not where its runs are: web-000 b1 is Yielded, and its runs are Active"},
		},
		"I8: a turn without a run": {
			func(s *scene) { s.execute("UPDATE turn SET state = 'Active' WHERE state = 'Ended'") },
			[]string{"I8: a turn is not where its runs are: web-001 b1 is Active, and its runs are Ended or Superseded"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			test.spoil(s)
			violations, err := oracle.Violations(t.Context(), s.world())
			require.NoError(t, err)
			all := ""
			for _, violation := range violations {
				all += violation + "\n"
			}
			for _, want := range test.want {
				require.Contains(t, all, want)
			}
		})
	}
}

// listener is a test that fails without failing this one.
type listener struct {
	testing.TB
	heard string
}

func (l *listener) Helper() {}

func (l *listener) Fatalf(format string, args ...any) {
	l.heard = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure is what Check fails a test with; empty where it does not.
func failure(t *testing.T, world oracle.World) string {
	t.Helper()
	listener := &listener{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		oracle.Check(listener, world)
	}()
	<-done
	return listener.heard
}

func TestCheckFailsTheTestWithEveryViolation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.build.UID = "other"
	s.log("twice", 201, 201)
	heard := failure(t, s.world())
	require.Contains(t, heard, "finds 2 violations")
	require.Contains(t, heard, "I1: ")
	require.Contains(t, heard, "I3: ")
}

func TestCheckFailsATestThatItCannotJudge(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.execute("DROP TABLE oracle_transition")
	require.Contains(t, failure(t, s.world()), "oracle: read transitions")
}

func TestQuiesceWaitsForTheLastRow(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.ErrorContains(t, s.leftToQuiesce(), "1 tasks are still under way")
	over, end := context.WithTimeout(t.Context(), 10*time.Second)
	defer end()
	require.ErrorContains(t, oracle.TakenUp(over, s.store.Pool()), "1 tasks are still under way")

	done := make(chan error, 1)
	go func() { done <- oracle.Quiesce(t.Context(), s.store.Pool()) }()
	claims, err := s.store.Claim(t.Context(), cd, "w", 1, time.Hour)
	require.NoError(t, err)
	_, err = s.store.Complete(t.Context(), "w", []store.Completion{
		{ID: claims[0].ID, Attempt: claims[0].Attempt, Status: store.StatusCancelled, Reason: v1alpha1.ReasonSuspended},
	})
	require.NoError(t, err)
	ended, err := s.store.Unfollowed(t.Context(), 1, nil)
	require.NoError(t, err)
	require.Empty(t, done, "an end that is not followed is under way")
	require.NoError(t, oracle.TakenUp(t.Context(), s.store.Pool()))
	require.NoError(t, s.store.Follow(t.Context(), []store.Consequence{{Ended: ended[0], Outcome: store.StatusCancelled}}))
	require.NoError(t, <-done)
}

func TestALookThatIsInterruptedHidesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.execute("UPDATE task SET status = 'Running' WHERE status = 'Pending'")
	cluster := s.cluster(given.CiPipeline(given.CI), ended("b2", v1alpha1.BuildFailed))
	ctx, cancel := context.WithCancel(t.Context())
	second := interrupted{Reader: cluster, after: 1, interrupt: cancel}
	err := oracle.Quiesce(ctx, s.store.Pool(), &second)
	require.ErrorContains(t, err, "1 builds are not planned")
	require.ErrorIs(t, err, context.Canceled)
	require.Greater(t, second.lists, second.after, "the second look was interrupted")
}

// interrupted ends the context of whoever lists builds again after some lists.
type interrupted struct {
	client.Reader
	after, lists int
	interrupt    context.CancelFunc
}

func (i *interrupted) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, builds := list.(*v1alpha1.CiBuildList); builds {
		if i.lists++; i.lists > i.after {
			i.interrupt()
			return ctx.Err()
		}
	}
	return i.Reader.List(ctx, list, options...)
}

// leftToQuiesce looks once, and returns the error that names what is left.
func (s *scene) leftToQuiesce(clusters ...client.Reader) error {
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	return oracle.QuiesceTelling(ctx, func(string) { cancel() }, oracle.World{Database: s.store.Pool(), Clusters: clusters})
}

func TestQuiesceWaitsForTheLastPlanAndItsStatus(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.execute("UPDATE task SET status = 'Running' WHERE status = 'Pending'")
	build := ended("b2", v1alpha1.BuildFailed)
	cluster := s.cluster(given.CiPipeline(given.CI), build)
	quiesce := func(clusters ...client.Reader) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return oracle.Quiesce(ctx, s.store.Pool(), clusters...)
	}
	require.ErrorContains(t, s.leftToQuiesce(cluster), "1 builds are not planned")
	require.NoError(t, quiesce(), "without an API server the rows alone count")

	planned, err := s.store.Plan(t.Context(), store.BuildPlan{Build: given.Build("b2")})
	require.NoError(t, err)
	require.True(t, planned)
	require.ErrorContains(t, s.leftToQuiesce(cluster), "1 statuses are behind the rows: I7: CiBuild b2 tells nothing of its runs")

	done := make(chan error, 1)
	go func() { done <- quiesce(cluster) }()
	require.NoError(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(build), build))
	build.Status = truth()
	build.Status.Phase, build.Status.Triggers = v1alpha1.BuildFailed, &v1alpha1.TriggerSummary{Progress: "0/0"}
	meta.SetStatusCondition(&build.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionFinished, Status: metav1.ConditionTrue, Reason: string(v1alpha1.ReasonNothingToDo),
	})
	require.NoError(t, cluster.Update(t.Context(), build))
	require.NoError(t, <-done)
}
