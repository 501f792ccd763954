package e2e

import (
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// workflowsIn returns the names of the Workflows that exist in another cluster.
func workflowsIn(t *testing.T, there *world.Elsewhere) []string {
	t.Helper()
	var list wfv1.WorkflowList
	require.NoError(t, there.Cluster.List(t.Context(), &list))
	var names []string
	for i := range list.Items {
		require.Empty(t, list.Items[i].OwnerReferences, "the owner is in another cluster")
		names = append(names, list.Items[i].Name)
	}
	return names
}

func TestRunsGoWhereTheirPipelineSaysAndTheRunsBelowFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := w.Join(w.Namespace, apart)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("here"),
		given.CdPipeline("there", given.WithPre, given.RunsIn(there.Name)),
		given.CdPipeline("below", given.BelowCd("there")))
	w.Create(given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.RowsAre(4, "Succeeded")
	require.Len(t, workflowsIn(t, there), 2, "PRE and DEPLOY")
	require.Len(t, w.Workflows(), 2)
	for _, name := range workflowsIn(t, there) {
		require.True(t, strings.HasPrefix(name, "there-"), name)
	}
	w.Judge()
	var list wfv1.WorkflowList
	require.NoError(t, there.Cluster.List(t.Context(), &list))
	for i := range list.Items {
		require.Empty(t, list.Items[i].Finalizers, "its end is recorded")
	}
}

func TestARunForATargetClusterThatDoesNotExistWaitsAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("nowhere", given.RunsIn("nowhere-"+w.Namespace)), given.CdPipeline("here"), given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.RowsAre(1, "Succeeded")
	w.KubectlTells("describe cdpipeline nowhere", "LaneShut", "there is no TargetCluster nowhere-"+w.Namespace)
	w.KubectlTells("describe cibuild app-1", "LaneShut", "there is no TargetCluster nowhere-"+w.Namespace)
	w.Patch(&v1alpha1.CdPipeline{}, "nowhere", `{"spec":{"suspend":true}}`)
	w.RowsAre(1, "Cancelled")
	w.Judge()
}

func TestAStageWaitsForTheTemplateOfItsCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := w.Join(w.Namespace, apart)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("there", given.RunsIn(there.Name), given.Runs("late")), given.CiBuild("app-1"))
	w.Create(given.WorkflowTemplate("late", 0)) // at home, where it does not count
	w.Start()
	w.Succeed("app-1")
	w.KubectlTells("describe cdpipeline there", "WorkflowTemplate late does not exist in TargetCluster "+there.Name)
	there.Create(given.WorkflowTemplate("late", 0))
	w.RowsAre(1, "Succeeded")
	w.Judge()
}

func TestDeletingAPipelineStopsItsWorkflowsInOtherClusters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := w.Join(w.Namespace, apart)
	there.Create(forEver())
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("there", given.RunsIn(there.Name), given.Runs("for-ever")), given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.RowsAre(1, "Running")
	w.Delete(given.CdPipeline("there"))
	w.RowsAre(1, "Cancelled")
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM task WHERE reason = 'PipelineDeleted'`))
	w.Judge()
}

func TestABuildRunsInAnotherClusterAndWhatItMadeIsDeployedHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := w.Join(w.Namespace, apart)
	w.Create(given.CiPipeline("shop", given.Builds("build"), given.BuildsIn(there.Name)), given.CdPipeline("shop-here", given.BelowCi("shop")))
	w.Start()
	w.Create(given.CiBuild("b1", given.BuildOf("shop")))
	w.KubectlTells("describe cibuild b1", "WorkflowTemplate build does not exist in TargetCluster "+there.Name)
	there.Create(given.Declares(given.BuildTemplate("build", "registry.example.com/shop", time.Second), wfv1.Parameter{Name: "build"}))
	w.RowsAre(2, "Succeeded")
	require.Len(t, workflowsIn(t, there), 1)
	require.Len(t, w.Workflows(), 1)
	w.Judge()
	require.Equal(t, v1alpha1.BuildSucceeded, w.Build(t.Context(), "b1").Status.Phase)
}

func TestARunWaitsForTheRightsOfItsNamespaceAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := w.Join(w.Namespace, apart)
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "penstock-runs"}}
	require.NoError(t, there.Cluster.Get(t.Context(), client.ObjectKeyFromObject(binding), binding))
	require.NoError(t, there.Cluster.Delete(t.Context(), binding.DeepCopy()))
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("there", given.RunsIn(there.Name)), given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.KubectlTells("describe cdpipeline there", "LaneShut", "Penstock may not list Workflows there in namespace "+w.Namespace)
	require.Empty(t, workflowsIn(t, there))
	binding.ResourceVersion, binding.UID = "", ""
	there.Create(binding)
	w.RowsAre(1, "Succeeded")
	w.Judge()
}
