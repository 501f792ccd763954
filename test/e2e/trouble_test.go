package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
)

func TestWorkflowsThatEndBadlyEndTheirRowsAndNoOther(t *testing.T) {
	w := newWorld(t)
	w.create(template("for-ever", "10m"), ciPipeline("app"), child("pod", runs("pod")), child("fails", runs("failing-pod")),
		child("deleted", runs("for-ever")), child("no-template", runs("nowhere")), child("below-fails", below("fails")))
	w.build("app-1", "app")
	w.start()
	w.succeed("app-1")
	w.rowsAre(1, "Running")
	for _, workflow := range w.workflows() {
		if strings.HasPrefix(workflow.Name, "deleted-") {
			require.NoError(t, w.cluster.Delete(t.Context(), &workflow))
		}
	}
	w.rowsAre(0, "Running")
	w.rowsAre(1, "Succeeded")
	w.rowsAre(1, "Failed")
	w.rowsAre(2, "Error")
	w.decidedIs("below-fails", "Blocked/ParentNotSucceeded")
	w.kubectlTells("describe cdpipeline no-template", "TemplateNotFound", "WorkflowTemplate nowhere does not exist")
	w.kubectlTells("describe cdpipeline deleted", "WorkflowDeleted")
	w.kubectlTells("describe cibuild app-1", "fails DEPLOY ended as Failed", "no-template DEPLOY ended as Error")
	w.judge()
}

func TestAForeignWorkflowOfTheWantedNameIsNeverAdopted(t *testing.T) {
	w := newWorld(t)
	w.create(ciPipeline("app"), child("taken"), child("neighbour"))
	w.build("app-1", "app")
	build := w.getBuild(t.Context(), "app-1")
	foreign := foreignWorkflow(w, build, "taken")
	w.create(foreign)
	w.start()
	w.succeed("app-1")
	w.rowsAre(1, "Succeeded")
	w.rowsAre(1, "Error")
	require.Equal(t, 1, w.count(`SELECT count(*) FROM cd_workflow_runner WHERE reason = 'NameConflict'`))
	require.NoError(t, w.cluster.Get(t.Context(), client.ObjectKeyFromObject(foreign), foreign))
	require.NotContains(t, foreign.Labels, v1alpha1.LabelManagedBy)
	w.judge()
}

func TestBuildsThatFailOrHaveNothingBelowOrManyArtifacts(t *testing.T) {
	w := newWorld(t)
	w.create(ciPipeline("app"), ciPipeline("childless"), child("cd-0"), child("cd-1"))
	w.build("failed", "app")
	w.build("alone", "childless")
	w.build("many", "app")
	w.start()
	w.finish("failed", v1alpha1.BuildFailed)
	w.decidedIs("cd-0", "Skipped/BuildNotSucceeded")
	w.succeed("alone")
	w.kubectlTells("describe cibuild alone", "NothingToTrigger", "no CdPipeline has this pipeline as its parent")
	var images []string
	for i := range 20 {
		images = append(images, fmt.Sprintf("app-%d:1", i))
	}
	w.finish("many", v1alpha1.BuildSucceeded, images...)
	w.rowsAre(40, "Succeeded")
	w.judge()
}

func TestABuildWaitsForItsPipelineAndPipelinesTellWhatKeepsThem(t *testing.T) {
	w := newWorld(t)
	w.create(child("orphan", below("nobody")), child("ring-a", below("ring-b")), child("ring-b", below("ring-a")), child("early"))
	w.build("app-1", "app")
	w.succeed("app-1") // finished before anything of ours runs
	w.start()
	w.kubectlTells("describe cibuild app-1", "ParentNotFound", `CiPipeline "app" does not exist`)
	w.kubectlTells("describe cdpipeline orphan", "ParentNotFound", `CdPipeline "nobody" does not exist`)
	w.kubectlTells("describe cdpipeline ring-a", "ParentCycle", "ring-a -> ring-b -> ring-a")
	w.create(ciPipeline("app"))
	w.rowsAre(1, "Succeeded")
	require.Empty(t, w.decided("ring-a"))
	w.judge()
}

func TestDeletingABuildOrAPipelineUnderWayResurrectsNothing(t *testing.T) {
	w := newWorld(t, "KUBE_API_QPS=10", "KUBE_API_BURST=1")
	w.create(ciPipeline("app"))
	for i := range 20 {
		w.create(child(fmt.Sprintf("cd-%02d", i)))
	}
	w.build("app-1", "app")
	w.start()
	w.succeed("app-1")
	w.eventually("the first Workflow", func(context.Context) bool { return len(w.workflows()) > 0 })
	require.NoError(t, w.cluster.Delete(t.Context(), w.getBuild(t.Context(), "app-1")))
	last := child("cd-19")
	require.NoError(t, w.cluster.Delete(t.Context(), last))
	w.create(child("cd-19")) // of the same name, but another
	w.eventually("19 succeeded and one cancelled", func(context.Context) bool {
		return w.count(`SELECT count(*) FROM cd_workflow WHERE outcome = 'Succeeded'`) == 19 &&
			w.count(`SELECT count(*) FROM cd_workflow_runner WHERE status = 'Cancelled' AND reason = 'PipelineDeleted'`) == 1
	})
	require.True(t, apierrors.IsNotFound(w.cluster.Get(t.Context(), client.ObjectKey{Name: "app-1"}, &v1alpha1.CiBuild{})))
	require.Len(t, w.workflows(), 19)
	w.judge()
}

func TestLongNamesAreShortenedAndStayDistinct(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("a-very-long-name.", 14) + "x"
	w.create(ciPipeline("app"), child(long+"1"), child(long+"2"))
	w.build(strings.Repeat("b", 253), "app")
	w.start()
	w.succeed(strings.Repeat("b", 253))
	w.rowsAre(2, "Succeeded")
	for _, workflow := range w.workflows() {
		require.LessOrEqual(t, len(workflow.Name), 63)
	}
	w.judge()
}

func TestADatabaseThatIsDownMakesNotReadyAndLosesNothing(t *testing.T) {
	t.Setenv("DATABASE_URL", "") // a server of somebody else's can't be stopped
	postgres, err := env.StartPostgres(t.Context(), env.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close()) })
	w := newWorld(t)
	w.url, err = postgres.NewDatabase(t.Context(), "outage")
	require.NoError(t, err)
	w.prepareDatabase()
	w.create(ciPipeline("app"), child("cd-0"), child("cd-1"))
	w.build("app-1", "app")

	require.NoError(t, postgres.Stop(env.Immediate))
	w.controller, err = local.LaunchController(w.options())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.controller.Stop()) })
	w.eventually("alive but not ready", func(ctx context.Context) bool {
		return w.probe("/healthz") == 200 && w.probe("/readyz") == 500
	})
	w.succeed("app-1")
	require.NoError(t, postgres.Restart(t.Context()))
	require.NoError(t, w.controller.WaitReady(t.Context()))
	w.rowsAre(2, "Succeeded")

	w.build("app-2", "app")
	require.NoError(t, postgres.Stop(env.Immediate))
	w.succeed("app-2")
	w.eventually("not ready again, and still alive", func(context.Context) bool {
		return w.probe("/readyz") == 500 && w.probe("/healthz") == 200
	})
	require.NoError(t, postgres.Restart(t.Context()))
	w.rowsAre(4, "Succeeded")
	w.judge()
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
	w := newWorld(t)
	asleep := ciPipeline("app")
	asleep.Spec.Suspend = true
	w.create(asleep, child("cd-0"))
	w.build("app-1", "app")
	w.start()
	w.succeed("app-1")
	w.decidedIs("cd-0", "Skipped/ParentSuspended")
	w.eventually("the build says so", func(ctx context.Context) bool {
		planned := meta.FindStatusCondition(w.getBuild(ctx, "app-1").Status.Conditions, v1alpha1.ConditionPlanned)
		return planned != nil && planned.Status == metav1.ConditionTrue && strings.Contains(planned.Message, "ParentSuspended (cd-0)")
	})
	w.judge()
}
