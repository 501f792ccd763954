package chaos

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// underWay is a world with a build of which some children have a Workflow, and most
// wait.
func underWay(t *testing.T, children int) (*world.World, *world.Controller) {
	t.Helper()
	w := newWorld(t, "KUBE_API_QPS=10", "KUBE_API_BURST=1")
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
	w.CreateFamily(given.CdPipelines(children, "cd"))
	controller := w.Start()
	w.Succeed("b1")
	w.Eventually("the first Workflows", func(context.Context) bool { return len(w.Workflows()) > 3 })
	require.Less(t, len(w.Workflows()), children/2, "most must wait")
	return w, controller
}

func TestDeletingABuildOrAPipelineUnderWayResurrectsNothing(t *testing.T) {
	t.Parallel()
	const children = 40
	w, _ := underWay(t, children)
	w.Delete(given.CiBuild("b1"), given.CdPipeline("cd-039"))
	w.Create(given.CdPipeline("cd-039")) // of the same name, but another
	w.Eventually("all but one have succeeded, one is cancelled", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome = 'Succeeded'`) == children-1 &&
			w.Count(`SELECT count(*) FROM task WHERE status = 'Cancelled' AND reason = 'PipelineDeleted'`) == 1
	})
	require.True(t, apierrors.IsNotFound(w.Cluster.Get(t.Context(), client.ObjectKey{Name: "b1"}, &v1alpha1.CiBuild{})))
	require.Len(t, w.Workflows(), children-1)
	w.Judge()
}

func TestDeletingTheNamespaceUnderWayLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w, _ := underWay(t, 40)
	deleteNamespace(t, w)
	goneForGood(w)
}

// Our finalizers keep the namespace until a controller lets go of them.
func TestANamespaceDeletedWhileNoControllerRunsGoesWithTheNextOne(t *testing.T) {
	t.Parallel()
	w, controller := underWay(t, 40)
	require.NoError(t, controller.Kill())
	deleteNamespace(t, w)
	pause(w, lease)
	require.NotEmpty(t, w.Workflows(), "nothing has kept them")
	w.Start()
	goneForGood(w)
}

func deleteNamespace(t *testing.T, w *world.World) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	require.NoError(t, w.Everywhere.Delete(t.Context(), namespace))
}

// goneForGood waits until the namespace is gone and every row has ended.
func goneForGood(w *world.World) {
	w.Eventually("the end of the namespace", func(ctx context.Context) bool {
		return apierrors.IsNotFound(w.Everywhere.Get(ctx, client.ObjectKey{Name: w.Namespace}, &corev1.Namespace{}))
	})
	w.Eventually("the end of every run", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome IS NULL`) == 0
	})
	w.Judge()
}
