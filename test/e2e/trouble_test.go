package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

func TestWorkflowsThatEndBadlyEndTheirRowsAndNoOther(t *testing.T) {
	w := newWorld(t, "TEMPLATE_WAIT=1s") // one has no template, which ends its run after this time
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("pod", given.Runs("pod")), given.CdPipeline("fails", given.Runs("failing-pod")),
		given.CdPipeline("deleted", given.Runs("for-ever")), given.CdPipeline("no-template", given.Runs("nowhere")), given.CdPipeline("below-fails", given.BelowCd("fails")))
	w.Create(given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.RowsAre(1, "Running")
	for _, workflow := range w.Workflows() {
		if strings.HasPrefix(workflow.Name, "deleted-") {
			require.NoError(t, w.Cluster.Delete(t.Context(), &workflow))
		}
	}
	w.RowsAre(0, "Running")
	w.RowsAre(1, "Succeeded")
	w.RowsAre(1, "Failed")
	w.RowsAre(2, "Error")
	w.DecidedIs("below-fails", "Blocked/ParentNotSucceeded")
	w.KubectlTells("describe cdpipeline no-template", "TemplateNotFound", "WorkflowTemplate nowhere did not appear within 1s")
	w.KubectlTells("describe cdpipeline deleted", "WorkflowDeleted")
	w.KubectlTells("describe cdpipeline fails", "ended as Failed: ", "exit code 1")
	w.KubectlTells("describe cibuild app-1", "fails DEPLOY ended as Failed", "no-template DEPLOY ended as Error", "RunsFailed", "of 4 runs: 3 failed, 1 succeeded")
	w.KubectlTells("get cibuild app-1", "RUNS", "WAITING", "RUNNING", "FAILED", "RunsFailed")
	w.Judge()
}

func TestBuildsThatFailOrHaveNothingBelowOrManyArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiPipeline("childless"), given.CdPipeline("cd-0"), given.CdPipeline("cd-1"),
		given.CiBuild("failed"), given.CiBuild("alone", given.BuildOf("childless")), given.CiBuild("many"))
	w.Start()
	w.Finish("failed", v1alpha1.BuildFailed)
	w.DecidedIs("cd-0", "Skipped/BuildNotSucceeded")
	w.Succeed("alone")
	w.KubectlTells("describe cibuild alone", "NothingToTrigger", "no CdPipeline has this pipeline as its parent")
	w.Finish("many", v1alpha1.BuildSucceeded, given.Artifacts(20)...)
	w.RowsAre(40, "Succeeded")
	w.Judge()
}

func TestABuildWaitsForItsPipelineAndPipelinesTellWhatKeepsThem(t *testing.T) {
	w := newWorld(t)
	w.Create(given.CdPipeline("orphan", given.BelowCd("nobody")), given.CdPipeline("ring-a", given.BelowCd("ring-b")), given.CdPipeline("ring-b", given.BelowCd("ring-a")), given.CdPipeline("early"))
	w.Create(given.CiBuild("app-1"))
	w.Succeed("app-1") // finished before anything of ours runs
	w.Start()
	w.KubectlTells("describe cibuild app-1", "ParentNotFound", `CiPipeline "ci" does not exist`)
	w.KubectlTells("describe cdpipeline orphan", "ParentNotFound", `CdPipeline "nobody" does not exist`)
	w.KubectlTells("describe cdpipeline ring-a", "ParentCycle", "ring-a -> ring-b -> ring-a")
	w.Create(given.CiPipeline(given.CI))
	w.RowsAre(1, "Succeeded")
	require.Empty(t, w.Decided("ring-a"))
	w.Judge()
}

func TestADatabaseThatIsDownMakesNotReadyAndLosesNothing(t *testing.T) {
	t.Parallel()
	postgres, err := env.StartPostgres(t.Context(), env.PostgresOptions{Own: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close()) })
	// Narrow: its database is stopped, and others need theirs.
	w := world.New(t, world.Options{Environment: apart, Postgres: postgres})
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("cd-0"), given.CdPipeline("cd-1"))
	w.Create(given.CiBuild("app-1"))

	require.NoError(t, postgres.Stop(env.Immediate))
	controller := w.Launch(env.ControllerOptions{})
	w.Eventually("alive but not ready", func(ctx context.Context) bool {
		return controller.Probe(ctx, "/healthz") == 200 && controller.Probe(ctx, "/readyz") == 500
	})
	w.Succeed("app-1")
	require.NoError(t, postgres.Restart(t.Context()))
	require.NoError(t, controller.WaitReady(t.Context()))
	w.RowsAre(2, "Succeeded")

	w.Create(given.CiBuild("app-2"))
	require.NoError(t, postgres.Stop(env.Immediate))
	w.Succeed("app-2")
	w.Eventually("not ready again, and still alive", func(ctx context.Context) bool {
		return controller.Probe(ctx, "/readyz") == 500 && controller.Probe(ctx, "/healthz") == 200
	})
	require.NoError(t, postgres.Restart(t.Context()))
	w.RowsAre(4, "Succeeded")
	w.Judge()
}

func TestAClusterWithoutCRDsIsNamedInTheError(t *testing.T) {
	bare, err := env.Start(t.Context(), env.Options{WithoutCRDs: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bare.Stop()) })
	printed := runPenstock(t, bare.Kubeconfig, "DATABASE_URL="+bare.DatabaseURL)
	require.Contains(t, printed, "kind CiBuild of penstock.dev/v1alpha1 is not installed")
	require.Contains(t, printed, "kubectl apply -k config/crd")
	require.Contains(t, printed, "install Argo Workflows")
}

func TestABadVariableStopsTheStartAndIsNamed(t *testing.T) {
	printed := runPenstock(t, local.Kubeconfig, "DATABASE_URL=postgres://u:secret@localhost/x", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=five")
	require.Contains(t, printed, `CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE="five": must be a whole number`)
	require.NotContains(t, printed, "secret")
}

func TestALeaderOutsideAPodNeedsANamespaceForItsLease(t *testing.T) {
	printed := runPenstock(t, local.Kubeconfig, "DATABASE_URL=postgres://localhost/x", "LEADER_ELECT=true")
	require.Contains(t, printed, "LEADER_ELECT is true")
	require.Contains(t, printed, "set POD_NAMESPACE")
}

func TestTheControllerThatIsShippedHasNoFailpoints(t *testing.T) {
	printed := runPenstock(t, local.Kubeconfig, "DATABASE_URL=postgres://localhost/x", failpoint.Variable+"=plan/before-insert=kill")
	require.Contains(t, printed, "PENSTOCK_FAILPOINTS is set, but this binary is built without failpoints")
	path, err := env.Part("penstock")
	require.NoError(t, err)
	binary, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(binary), failpoint.Variable)
	for name := range failpoint.Points() {
		require.NotContains(t, string(binary), string(name), "the compiler has left the failpoint in")
	}
}

// runPenstock runs the controller, which must fail, and returns what it prints.
func runPenstock(t *testing.T, kubeconfig string, settings ...string) string {
	t.Helper()
	path, err := env.Part("penstock")
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, "controller")
	command.Env = append(os.Environ(), append([]string{"KUBECONFIG=" + kubeconfig, "LEADER_ELECT=false"}, settings...)...)
	printed, err := command.CombinedOutput()
	require.Error(t, err, "%s", printed)
	return string(printed)
}

func TestASuspendedCiPipelineTriggersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asleep := given.CiPipeline(given.CI)
	asleep.Spec.Suspend = true
	w.Create(asleep, given.CdPipeline("cd-0"))
	w.Create(given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.DecidedIs("cd-0", "Skipped/ParentSuspended")
	w.Eventually("the build says so", func(ctx context.Context) bool {
		planned := meta.FindStatusCondition(w.Build(ctx, "app-1").Status.Conditions, v1alpha1.ConditionPlanned)
		return planned != nil && planned.Status == metav1.ConditionTrue && strings.Contains(planned.Message, "ParentSuspended (cd-0)")
	})
	w.Judge()
}
