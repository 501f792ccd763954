package oracle_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
)

func TestAWorldInOrderHasNoViolation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.log(s.workflow.Name, 201, 409, 503)
	s.limits, s.connections = &oracle.Limits{InFlight: 1, Connections: 10, WritesPerSecond: 1, WriteBurst: 3}, 10
	// What is not ours is none of the oracle's business.
	s.more = []client.Object{s.copied("foreign", map[string]string{v1alpha1.LabelManagedBy: "somebody"})}
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
			s.execute("UPDATE cd_workflow SET outcome = NULL")
			s.execute("UPDATE trigger_decision SET outcome = 'Waiting', reason = 'ManualStage' WHERE pipeline = 'web-001'")
			s.build.Status.Triggers.Succeeded, s.build.Status.Triggers.Running = 0, 1
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
		"I1: a run without a stage": {
			func(s *scene) { s.execute("DELETE FROM cd_workflow_runner WHERE id = $1", s.pending) },
			[]string{"I1: a run has no first stage: web-002"},
		},
		"I1: an end that nobody followed": {
			func(s *scene) {
				s.execute("UPDATE cd_workflow_runner SET followed_at = NULL, workflow_name = 'ended' WHERE id = $1", s.succeeded)
			},
			[]string{"I1: a stage has ended and was not followed: ended"},
		},
		"I1: a build that says Planned without its row": {
			func(s *scene) { s.build.UID = "other" },
			[]string{"I1: CiBuild b1 says Planned, but has no row"},
		},
		"I1: a run that begins with its last stage": {
			func(s *scene) { s.execute("UPDATE cd_workflow_runner SET stage = 'POST' WHERE id = $1", s.pending) },
			[]string{"I1: a run has no first stage: web-002"},
		},
		"I1: an end after which nothing came": {
			func(s *scene) {
				s.execute("UPDATE cd_workflow_runner SET workflow_name = 'ended' WHERE id = $1", s.succeeded)
				s.execute("UPDATE cd_workflow SET outcome = NULL")
			},
			[]string{"I1: a stage was followed, but by no stage, no end and nobody who is waited for: ended"},
		},
		"I1: a build that has ended and was not planned": {
			func(s *scene) {
				s.more = []client.Object{given.CiPipeline(given.CI), ended("lost", v1alpha1.BuildFailed)}
			},
			[]string{"I1: CiBuild lost has ended as Failed, but was not planned"},
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
		"I2: a run that was never decided": {
			func(s *scene) {
				s.execute("UPDATE trigger_decision SET outcome = 'Skipped' WHERE pipeline = 'web-001'")
			},
			[]string{"I2: a pipeline runs, but no decision says so: web-001"},
		},
		"I2: a run twice": {
			func(s *scene) {
				s.dropConstraint("cd_workflow", "cd_workflow_ci_artifact_id_pipeline_uid_run_key")
				s.execute(`WITH run AS (
					INSERT INTO cd_workflow (ci_artifact_id, namespace, pipeline, pipeline_uid, run, cause)
					SELECT ci_artifact_id, namespace, pipeline, pipeline_uid, run, cause FROM cd_workflow WHERE pipeline = 'web-000' RETURNING id)
					INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, workflow_name, priority, fair_at)
					SELECT id, 'default', 'DEPLOY', 'second', 0, now() FROM run`)
			},
			[]string{"I2: a pipeline has the same run of an artifact twice: web-000"},
		},
		"I2: a stage twice": {
			func(s *scene) {
				s.dropConstraint("cd_workflow_runner", "cd_workflow_runner_cd_workflow_id_stage_key")
				s.execute(`INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, workflow_name, priority, fair_at)
					SELECT cd_workflow_id, namespace, stage, 'a-second', 0, now() FROM cd_workflow_runner WHERE id = $1`, s.pending)
			},
			[]string{"I2: a run has a stage twice: a-second"},
		},
		"I2: two rows of one Workflow's name": {
			func(s *scene) {
				s.execute("UPDATE cd_workflow_runner SET workflow_name = 'same' WHERE id = ANY($1)", []int64{s.pending, s.succeeded})
			},
			[]string{"I2: two stages want the same Workflow: same"},
		},
		"I2 and I3: two Workflows of one row on two API servers": {
			func(s *scene) { s.more = []client.Object{s.copied(s.workflow.Name, nil)} },
			[]string{"I2: Workflows ", "I3: row 1 has two Workflows"},
		},
		"I2: two Workflows of one identity that name different rows": {
			func(s *scene) {
				s.more = []client.Object{s.copied("twin", map[string]string{v1alpha1.LabelRunner: "3"})}
			},
			[]string{"I2: Workflows default/web-000", "I4: Workflow default/twin has no row 3 of that name"},
		},
		"I3: a Workflow that was made twice": {
			func(s *scene) { s.log("twice", 201, 409, 201) },
			[]string{"I3: Workflow default/twice was made more than once"},
		},
		"I4: a Workflow that names no row": {
			func(s *scene) {
				s.more = []client.Object{s.copied("stray", map[string]string{v1alpha1.LabelRunner: "", v1alpha1.LabelIdentity: "x"})}
			},
			[]string{"I4: Workflow default/stray names no row"},
		},
		"I4: a Workflow whose row is gone": {
			func(s *scene) {
				s.more = []client.Object{s.copied("stray", map[string]string{v1alpha1.LabelRunner: "99", v1alpha1.LabelIdentity: "x"})}
			},
			[]string{"I4: Workflow default/stray has no row 99 of that name"},
		},
		"I4: a Workflow in another namespace than its row": {
			func(s *scene) { s.workflow.Namespace = "elsewhere" },
			[]string{"I4: Workflow elsewhere/"},
		},
		"I4: a Workflow of another identity than its row": {
			func(s *scene) { s.workflow.Labels[v1alpha1.LabelIdentity] = "x" },
			[]string{"I4: Workflow default/", "has not the identity of its row 1"},
		},
		"I4: a Submitted row without its Workflow": {
			func(s *scene) { s.workflow.Labels = nil },
			[]string{"I4: row 1 is Submitted, but its Workflow default/"},
		},
		"I4: a lease that ran out": {
			func(s *scene) {
				s.execute(`UPDATE cd_workflow_runner SET status = 'Submitting', workflow_name = 'stuck', lease_until = now() - interval '1 s'
					WHERE id = $1`, s.pending)
			},
			[]string{"I4: a claim's lease has run out and nobody took it: stuck"},
		},
		"I5: an end that was taken back": {
			func(s *scene) {
				s.execute("UPDATE cd_workflow_runner SET status = 'Running' WHERE id = $1", s.succeeded)
				s.execute("UPDATE cd_workflow_runner SET status = 'Succeeded' WHERE id = $1", s.succeeded)
			},
			[]string{`I5: row 2 went from "Succeeded" to "Running"`},
		},
		"I5: a step backwards": {
			func(s *scene) {
				s.execute("UPDATE cd_workflow_runner SET status = 'Pending' WHERE id = $1", s.submitted)
			},
			[]string{`I5: row 1 went from "Submitted" to "Pending"`},
		},
		"I5: a row that was deleted": {
			func(s *scene) { s.execute("DELETE FROM cd_workflow_runner WHERE id = $1", s.pending) },
			[]string{`I5: row 3 went from "Pending" to ""`},
		},
		"I5: a row that was born in the middle": {
			func(s *scene) {
				s.execute(`INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, workflow_name, priority, fair_at, status)
					SELECT cd_workflow_id, namespace, 'POST', 'born', 0, now(), 'Submitting' FROM cd_workflow_runner WHERE id = $1`, s.pending)
			},
			[]string{`went from "" to "Submitting"`},
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
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, oracle.Quiesce(short, s.store.Pool()), "1 rows are still under way")
	over, end := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer end()
	require.ErrorContains(t, oracle.TakenUp(over, s.store.Pool()), "1 rows are still under way")

	done := make(chan error, 1)
	go func() { done <- oracle.Quiesce(t.Context(), s.store.Pool()) }()
	claims, err := s.store.Claim(t.Context(), "w", 1, time.Hour)
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

func TestQuiesceWaitsForTheLastPlanAndItsStatus(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.execute("UPDATE cd_workflow_runner SET status = 'Running' WHERE status = 'Pending'")
	build := ended("b2", v1alpha1.BuildFailed)
	cluster := s.cluster(given.CiPipeline(given.CI), build)
	within := func(patience time.Duration, clusters ...client.Reader) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return oracle.Quiesce(ctx, s.store.Pool(), clusters...)
	}
	require.ErrorContains(t, within(200*time.Millisecond, cluster), "1 builds are not planned")
	require.NoError(t, within(time.Minute), "without an API server the rows alone count")

	planned, err := s.store.Plan(t.Context(), store.BuildPlan{Build: given.Build("b2")})
	require.NoError(t, err)
	require.True(t, planned)
	require.ErrorContains(t, within(200*time.Millisecond, cluster), "1 statuses are behind the rows: I7: CiBuild b2 tells nothing of its runs")

	done := make(chan error, 1)
	go func() { done <- within(time.Minute, cluster) }()
	require.NoError(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(build), build))
	build.Status = truth()
	build.Status.Phase, build.Status.Triggers = v1alpha1.BuildFailed, &v1alpha1.TriggerSummary{Progress: "0/0"}
	require.NoError(t, cluster.Update(t.Context(), build))
	require.NoError(t, <-done)
}
