package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// errand is a request on a pipeline of the action's name, and how to tell that it was
// carried out.
type errand struct {
	request *v1alpha1.RunRequest
	// effect counts what the request has done: 0 or 1.
	effect string
	// runs are those of the pipeline, and below those of its child, at the end.
	runs, below string
}

func errands() []errand {
	ask := func(action v1alpha1.Action, pipeline string, with ...func(*v1alpha1.RunRequest)) *v1alpha1.RunRequest {
		return given.RunRequest(pipeline, action, append(with, given.OfPipeline(pipeline))...)
	}
	b1 := given.OfBuild("b1")
	return []errand{
		{
			ask(v1alpha1.ActionTrigger, "trigger", b1), `SELECT count(*) FROM cd_workflow WHERE pipeline = 'trigger'`,
			"b1 Succeeded", "b1 Succeeded",
		},
		{
			ask(v1alpha1.ActionRetry, "retry", b1), `SELECT count(*) FROM cd_workflow WHERE pipeline = 'retry' AND run = 2`,
			"b1 Failed, b1 Succeeded", "b1 Succeeded",
		},
		{
			ask(v1alpha1.ActionResume, "resume", b1), `SELECT count(*) FROM cd_workflow_runner WHERE resumed_by IS NOT NULL`,
			"b1 Succeeded", "b1 Succeeded",
		},
		{
			ask(v1alpha1.ActionCancel, "cancel", b1), `SELECT count(*) FROM task WHERE owner_name = 'cancel' AND stop_reason = 'Cancelled'`,
			"b1 Cancelled", "",
		},
		{
			ask(v1alpha1.ActionRollback, "rollback"), `SELECT count(*) FROM cd_workflow WHERE pipeline = 'rollback' AND NOT descends`,
			"r1 Succeeded, r2 Succeeded, r1 Succeeded", "r1 Succeeded, r2 Succeeded",
		},
	}
}

// ofOthers tells whether a step is passed by requests, by notifications, by waves, by webhooks, by
// builds that run here or by large builds alone, and not on the way from a build to its Workflows.
func ofOthers(name failpoint.Name) bool {
	loop, step, _ := strings.Cut(string(name), "/")
	return slices.Contains([]string{"request", "build", "wave", "notify", "hook", "delivery", "stop"}, loop) || strings.HasSuffix(step, "-chunk")
}

// requestSteps are those of a request, and how often it is recorded when it is killed there;
// with -short those around its commit.
func requestSteps() map[failpoint.Name]int {
	steps := map[failpoint.Name]int{failpoint.RequestBeforeCommit: 0, failpoint.RequestAfterCommit: 1}
	if !testing.Short() {
		steps[failpoint.RequestBeforeRecord], steps[failpoint.StopBeforePatch] = 0, 1
	}
	return steps
}

func TestAKillAtAnyStepOfARequestCarriesItOutOnceAndNeverHalf(t *testing.T) {
	t.Parallel()
	for name, recorded := range requestSteps() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepareErrands(t, w)
			for _, errand := range errands() {
				if name == failpoint.StopBeforePatch && errand.request.Spec.Action != v1alpha1.ActionCancel {
					continue // nothing of theirs is stopped
				}
				broken := breaking(w, string(name)+"=kill")
				w.Create(errand.request)
				require.True(t, killedWithin(t, broken, world.Patience), "the step is never passed")
				require.Equal(t, recorded, w.Count(errand.effect), "%s after the kill", errand.request.Name)
				requireWhole(t, w, errand)
				controller := w.Start()
				answered(t, w, errand.request.Name)
				requireWhole(t, w, errand)
				require.Equal(t, 1, w.Count(errand.effect), errand.request.Name)
				require.NoError(t, controller.Kill())
			}
			w.Start()
			for _, errand := range errands() {
				if name == failpoint.StopBeforePatch && errand.request.Spec.Action != v1alpha1.ActionCancel {
					w.Create(errand.request)
				}
				runsAre(w, errand.request.Name, errand.runs)
				runsAre(w, "below-"+errand.request.Name, errand.below)
			}
			w.Judge()
			require.Equal(t, len(errands()), w.Count(`SELECT count(*) FROM run_request WHERE phase = 'Done'`))
			require.Equal(t, len(errands()), w.Count(`SELECT count(*) FROM event WHERE kind = 'Request'`))
			require.Equal(t, "Blocked/ParentNotSucceeded", w.Decided("below-cancel"))
		})
	}
}

// prepareErrands brings pipelines to where each action can be asked for, and leaves nothing
// of ours running.
func prepareErrands(t *testing.T, w *world.World) {
	t.Helper()
	w.Create(given.WorkflowTemplate("for-ever", 10*time.Minute), given.PodTemplate("failing-pod", "1"), given.CiPipeline(given.CI), given.CiPipeline("releases"))
	w.Create(
		given.CdPipeline("trigger", given.Manual, given.WithPre),
		given.CdPipeline("retry", given.WithPre, given.Runs("failing-pod")),
		given.CdPipeline("resume", given.WithPre, given.ManualStage(trigger.StageDeploy)),
		given.CdPipeline("cancel", given.WithPost, given.Runs("for-ever")),
		given.CdPipeline("rollback", given.BelowCi("releases")),
	)
	for _, errand := range errands() {
		w.Create(given.CdPipeline("below-"+errand.request.Name, given.BelowCd(errand.request.Name)))
	}
	controller := w.Start()
	w.Create(given.CiBuild("b1"), given.CiBuild("r1", given.BuildOf("releases")))
	w.Succeed("b1")
	w.Succeed("r1")
	runsAre(w, "below-rollback", "r1 Succeeded")
	w.Create(given.CiBuild("r2", given.BuildOf("releases")))
	w.Succeed("r2")
	runsAre(w, "below-rollback", "r1 Succeeded, r2 Succeeded")
	runsAre(w, "retry", "b1 Failed")
	w.Eventually("what waits for a person, and what runs for ever", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE owner_name = 'resume' AND status = 'Held' AND reason = 'Person'`) == 1 &&
			w.Count(`SELECT count(*) FROM task WHERE owner_name = 'cancel' AND status = 'Running'`) == 1
	})
	useTemplate(t, w, given.Template, "retry")
	require.NoError(t, controller.Kill())
}

// useTemplate has the stage DEPLOY of pipelines run another template from now on.
func useTemplate(t *testing.T, w *world.World, template string, pipelines ...string) {
	t.Helper()
	for _, pipeline := range pipelines {
		object := &v1alpha1.CdPipeline{}
		object.Name = pipeline
		patch := fmt.Sprintf(`{"spec":{"deploy":{"workflow":{"templateRef":{"name":%q}}}}}`, template)
		require.NoError(t, w.Cluster.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))))
	}
}

// requireWhole looks whether a request is recorded exactly where it has its effect.
func requireWhole(t *testing.T, w *world.World, errand errand) {
	t.Helper()
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM (
		SELECT (`+errand.effect+`) AS effect, (SELECT count(*) FROM run_request WHERE name = $1) AS recorded,
			(SELECT count(*) FROM event WHERE kind = 'Request' AND pipeline = $1) AS logged) r
		WHERE effect = recorded AND logged = recorded`, errand.request.Name), "%s is half done", errand.request.Name)
}

// answered waits until a request is done, and its status says what the tables do.
func answered(t *testing.T, w *world.World, name string) {
	t.Helper()
	request := &v1alpha1.RunRequest{}
	w.Eventually("an answer to "+name, func(ctx context.Context) bool {
		return w.Cluster.Get(ctx, client.ObjectKey{Name: name}, request) == nil && request.Status.Phase != ""
	})
	require.Equal(t, v1alpha1.RequestDone, request.Status.Phase, request.Status.Message)
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM run_request WHERE name = $1 AND run_id = $2 AND message = $3`,
		name, request.Status.Run, request.Status.Message))
}

// runsAre waits until the runs of a pipeline are so, the oldest first.
func runsAre(w *world.World, pipeline, want string) {
	w.Eventually(fmt.Sprintf("runs of %s: %s", pipeline, want), func(context.Context) bool { return runs(w, pipeline) == want })
}

// runs are the runs of a pipeline, such as b1 Succeeded, the oldest first.
func runs(w *world.World, pipeline string) string {
	var runs string
	_ = w.Database.QueryRow(context.Background(), `
		SELECT COALESCE(string_agg(b.build_name || ' ' || COALESCE(w.outcome, 'goes on'), ', ' ORDER BY w.id), '')
		FROM cd_workflow w JOIN ci_build b ON b.build_uid = w.build_uid WHERE w.pipeline = $1`, pipeline).Scan(&runs)
	return runs
}

// passes are steps at the n-th time that they are passed.
func passes(n int, names ...failpoint.Name) []string {
	var list []string
	for _, name := range names {
		for i := range n {
			list = append(list, fmt.Sprintf("%s=%d*kill", name, i+1))
		}
	}
	return list
}

// supersessionSteps are where a build that is overtaken is planned, waits, is stopped, and
// where the one that goes first is told of its end.
func supersessionSteps() []string {
	if testing.Short() {
		return []string{"plan/before-commit=2*kill", "stop/before-patch=1*kill", "follow/before-commit=1*kill"}
	}
	steps := passes(3, failpoint.PlanBeforeInsert, failpoint.PlanBeforeCommit, failpoint.PlanAfterCommit, failpoint.FollowBeforeCommit, failpoint.FollowAfterCommit)
	steps = append(steps, passes(2, failpoint.TrackBeforeCommit, failpoint.TrackAfterCommit)...)
	return append(steps, passes(1, failpoint.StopBeforePatch)...)
}

// killAnyhow waits until the controller is killed at its step. One that does not pass the
// step so often, since much is committed together, is killed where it is.
func killAnyhow(t *testing.T, broken *world.Controller) {
	t.Helper()
	const survived = 10 * time.Second
	if killedWithin(t, broken, survived) {
		return
	}
	t.Log("the step is not passed so often")
	require.NoError(t, broken.Kill())
}

func TestAKillAtAnyStepOfASupersessionSupersedesOnce(t *testing.T) {
	t.Parallel()
	for _, step := range supersessionSteps() {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			builds := prepareRivals(t, w)
			broken := breaking(w, step)
			for _, build := range builds {
				w.Succeed(build)
				pause(w, 300*time.Millisecond)
			}
			killAnyhow(t, broken)
			w.Start()
			w.Eventually("b2 overtaken by b3, which waits, in latest", func(context.Context) bool {
				return isSuperseded(fate(w, "latest", "b2")) && w.Count(`SELECT count(*) FROM task
					WHERE owner_name = 'latest' AND inputs->>'build' = 'b3' AND status = 'Held' AND reason = 'Turn'`) == 1
			})
			for _, workflow := range w.Workflows() {
				if workflow.Labels[v1alpha1.LabelPipeline] == "latest" {
					require.NoError(t, w.Cluster.Delete(t.Context(), &workflow))
				}
			}
			for pipeline, first := range map[string]string{"queue": "Succeeded", "latest": "Error", "replace": "Superseded"} {
				w.Eventually("the newest build in "+pipeline, func(context.Context) bool { return fate(w, pipeline, "b3") == "Succeeded" })
				require.Equal(t, first, fate(w, pipeline, "b1"), pipeline)
				require.Equal(t, "Skipped/Superseded", fate(w, pipeline, "b0"), pipeline)
				between := fate(w, pipeline, "b2") // after a restart builds are planned in any order
				require.True(t, isSuperseded(between) || between == "Succeeded" && pipeline != "latest", "b2 in %s: %s", pipeline, between)
			}
			w.Judge()
			require.Equal(t, 1, w.Count(`SELECT count(*) FROM task WHERE owner_name = 'replace' AND status = 'Superseded' AND reason = 'Replaced' AND inputs->>'build' = 'b1'`))
		})
	}
}

// fate is how the run of a build in a pipeline ended, or what was decided where it has none.
func fate(w *world.World, pipeline, build string) string {
	var fate string
	_ = w.Database.QueryRow(context.Background(), `
		SELECT COALESCE((SELECT COALESCE(w.outcome, 'goes on') FROM cd_workflow w JOIN ci_build b USING (build_uid)
				WHERE w.pipeline = $1 AND b.build_name = $2),
			(SELECT outcome || '/' || reason FROM trigger_decision WHERE pipeline = $1 AND build_name = $2), '')`, pipeline, build).Scan(&fate)
	return fate
}

func isSuperseded(fate string) bool { return fate == "Superseded" || fate == "Skipped/Superseded" }

// prepareRivals has b1 run in pipelines of three policies, and leaves nothing of ours
// running. It returns builds that are to end, of which the last is the oldest of all.
func prepareRivals(t *testing.T, w *world.World) []string {
	t.Helper()
	w.Create(given.WorkflowTemplate("for-ever", 10*time.Minute), given.CiPipeline(given.CI),
		given.CdPipeline("queue"),
		given.CdPipeline("latest", given.Runs("for-ever"), given.Concurrency(v1alpha1.ConcurrencyLatest)),
		given.CdPipeline("replace", given.Runs("for-ever"), given.WithPost, given.Concurrency(v1alpha1.ConcurrencyReplace)))
	for _, build := range []string{"b0", "b1", "b2", "b3"} {
		w.Create(given.CiBuild(build))
		pause(w, 1100*time.Millisecond) // what the API server tells of an object's age
	}
	controller := w.Start()
	w.Succeed("b1")
	runsAre(w, "queue", "b1 Succeeded")
	w.RowsAre(2, "Running")
	useTemplate(t, w, given.Template, "latest", "replace")
	require.NoError(t, controller.Kill())
	return []string{"b2", "b3", "b0"}
}

// endSteps are where a stage's end is noted, and where what follows it is committed.
func endSteps() []string {
	if testing.Short() {
		return []string{"follow/before-commit=3*kill", "follow/after-commit=2*kill"}
	}
	return passes(5, failpoint.TrackBeforeCommit, failpoint.TrackAfterCommit, failpoint.FollowBeforeCommit, failpoint.FollowAfterCommit)
}

// Each run has stages that succeed, one that is tried again, one that waits for a person, a
// failure, or a child.
func TestAKillAtAnyStepOfAStagesEndFollowsItOnce(t *testing.T) {
	t.Parallel()
	for _, step := range endSteps() {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Create(given.PodTemplate("failing-pod", "1"), given.CiPipeline(given.CI),
				given.CdPipeline("staged", given.WithPre, given.WithPost), given.CdPipeline("below", given.BelowCd("staged")),
				given.CdPipeline("again", given.WithPost, given.Runs("failing-pod"), given.WithRetries(1, time.Second)), given.CdPipeline("blocked", given.BelowCd("again")),
				given.CdPipeline("manual", given.WithPre, given.ManualStage(trigger.StageDeploy)))
			w.Create(given.CiBuild("b1"))
			broken := breaking(w, step)
			require.NoError(t, broken.WaitReady(t.Context()))
			w.Succeed("b1")
			killAnyhow(t, broken)
			w.Start()
			runsAre(w, "staged", "b1 Succeeded")
			runsAre(w, "below", "b1 Succeeded")
			runsAre(w, "again", "b1 Failed")
			w.Judge()
			require.Equal(t, 2, w.Count(`SELECT count(*) FROM task WHERE owner_name = 'again' AND status = 'Failed'`))
			require.Equal(t, 1, w.Count(`SELECT count(*) FROM task WHERE owner_name = 'manual' AND status = 'Held' AND reason = 'Person'`))
			require.Equal(t, "Blocked/ParentNotSucceeded", w.Decided("blocked"))
			require.Equal(t, 4, w.Count(`SELECT count(*) FROM event WHERE kind = 'Run'`)+w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome IS NULL`))
			w.MadeAre(7)
		})
	}
}
