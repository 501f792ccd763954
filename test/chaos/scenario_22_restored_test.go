package chaos

import (
	"context"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// The database is copied while b1 runs, and restored after older and newer builds, a request
// and the end of b1 came. What statuses told before the restore is no row's any more, so that
// the witness is asked for one thing alone: how often each Workflow was made.
func TestADatabaseRestoredWithoutItsLastSecondsTriggersNothingAnew(t *testing.T) {
	t.Parallel()
	postgres, err := env.StartPostgres(t.Context(), env.PostgresOptions{Own: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close()) })
	w := world.New(t, world.Options{Environment: local, Postgres: postgres})
	w.Create(given.WorkflowTemplate("slow", 8*time.Second), given.CiPipeline(given.CI), given.CiBuild("b0"), given.CiBuild("b1"),
		given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")),
		given.CdPipeline("gone", given.Runs("slow"), given.WithRetries(3, time.Second)), given.CdPipeline("kept", given.Runs("slow")))
	controller := w.Start()
	w.Succeed("b1")
	w.RowsAre(2, "Running") // of the slow ones
	w.RowsAre(2, "Succeeded")
	w.KubectlTells("describe cibuild b1", "4 of 4 runs have a Workflow")
	require.NoError(t, postgres.Copy(t.Context()))

	lastSeconds(t, w)
	require.NoError(t, controller.Stop())
	made, _ := w.Made()
	require.NoError(t, postgres.RestoreCopy(t.Context()))
	w.Eventually("the database answers", func(context.Context) bool { return w.Rows("Running") == 2 })

	w.Start()
	w.KubectlTells("describe cibuild b2", "RecordsLost", `"kind":"RunRequest"`)
	w.KubectlTells("get events", "The database knows nothing of run")
	w.Eventually("the run whose Workflow is there has ended as that has", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cd_workflow WHERE pipeline = 'kept' AND outcome = 'Succeeded'`) == 1
	})
	w.Eventually("the run whose Workflow is gone has ended, nobody knows how", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE owner_name = 'gone' AND status = 'Error' AND reason = 'EndUnknown' AND settled_at IS NOT NULL`) == 1
	})
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM task WHERE owner_name = 'gone'`), "it is not tried again")
	w.Succeed("b0")
	w.Eventually("an older build does not replace the newer one that was lost", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM trigger_decision WHERE build_name = 'b0' AND pipeline = 'web' AND outcome = 'Skipped' AND reason = 'Superseded'`) == 1
	})
	pause(w, 6*time.Second) // and a sweep
	again, _ := w.Made()
	require.Equal(t, made, again, "Workflows")
	require.Equal(t, "b1", deployedBuild(t.Context(), w, "gone"), "what the rows have forgotten is deployed all the same")
	requireRunsAgainWhenAsked(t, w)
	require.Empty(t, w.JudgeRestored("b2"))
}

// lastSeconds is what the restored database has forgotten: b2 as a whole, a request of b1, and
// how b1 ended, of which one Workflow is removed.
func lastSeconds(t *testing.T, w *world.World) {
	t.Helper()
	w.Create(given.RunRequest("again", v1alpha1.ActionTrigger, given.OfPipeline("web"), given.OfBuild("b1")))
	w.Eventually("the request is done", func(ctx context.Context) bool { return phaseOfRequest(ctx, w, "again") == v1alpha1.RequestDone })
	w.Create(given.CiBuild("b2"))
	w.Succeed("b2")
	w.Eventually("b2 is deployed", func(ctx context.Context) bool {
		for _, name := range []string{"web", "below"} {
			var pipeline v1alpha1.CdPipeline
			err := w.Cluster.Get(ctx, client.ObjectKey{Name: name}, &pipeline)
			if err != nil || pipeline.Status.LastRun == nil || pipeline.Status.LastRun.BuildName != "b2" || pipeline.Status.LastRun.Phase != "Succeeded" {
				return false
			}
		}
		return true
	})
	w.KubectlTells("describe cibuild b2", "runs have a Workflow")
	w.Eventually("b1 has ended everywhere", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = 'b1' AND w.outcome IS NULL`) == 0
	})
	var name string
	require.NoError(t, w.Database.QueryRow(t.Context(), `SELECT t.workflow_name FROM task t WHERE t.owner_name = 'gone' ORDER BY id LIMIT 1`).Scan(&name))
	w.Eventually("the status tells what was deployed", func(ctx context.Context) bool { return deployedBuild(ctx, w, "gone") == "b1" })
	w.Eventually("its TTL removes the Workflow", func(ctx context.Context) bool {
		workflow := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}}
		_ = w.Cluster.Delete(ctx, workflow)
		return w.Cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow) != nil
	})
}

// deployedBuild is the build that a pipeline tells to be deployed; empty where it tells none.
func deployedBuild(ctx context.Context, w *world.World, name string) string {
	var pipeline v1alpha1.CdPipeline
	if err := w.Cluster.Get(ctx, client.ObjectKey{Name: name}, &pipeline); err != nil || len(pipeline.Status.Deployed) == 0 {
		return ""
	}
	return pipeline.Status.Deployed[0].BuildName
}

func phaseOfRequest(ctx context.Context, w *world.World, name string) v1alpha1.RunRequestPhase {
	var request v1alpha1.RunRequest
	if err := w.Cluster.Get(ctx, client.ObjectKey{Name: name}, &request); err != nil {
		return ""
	}
	return request.Status.Phase
}

// requireRunsAgainWhenAsked wants what the build's status advises to work: the new run does not
// take the Workflow of the lost one for its own.
func requireRunsAgainWhenAsked(t *testing.T, w *world.World) {
	t.Helper()
	require.Zero(t, w.Count(`SELECT count(*) FROM run_request`), "the request that was done is not carried out again")
	made, _ := w.Made()
	w.Create(given.RunRequest("after", v1alpha1.ActionTrigger, given.OfPipeline("below"), given.OfBuild("b2")))
	w.Eventually("the request is done", func(ctx context.Context) bool { return phaseOfRequest(ctx, w, "after") == v1alpha1.RequestDone })
	w.Eventually("b2 has run again", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cd_workflow WHERE pipeline = 'below' AND outcome = 'Succeeded' AND run > 1`) == 1
	})
	again, _ := w.Made()
	require.Equal(t, made+1, again)
}
