package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

func TestABuildWithFiftyChildrenTriggersEachOnceHoweverOftenItIsReconciled(t *testing.T) {
	t.Parallel()
	const children, reconciliations = 50, 100
	w := newWorld(t)
	w.CreateFamily(given.CdPipelines(children, "cd"))
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
	w.Start()
	w.Succeed("b1")
	w.RowsAre(children, "Succeeded")
	w.Judge()
	build := w.Build(t.Context(), "b1")
	require.True(t, meta.IsStatusConditionTrue(build.Status.Conditions, v1alpha1.ConditionTriggered))
	require.Equal(t, build.Generation, build.Status.ObservedGeneration)
	require.EqualValues(t, children, build.Status.Triggers.Succeeded)

	rest(w)
	before := len(w.Log().Writes())
	for i := range reconciliations {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, i)
		require.NoError(t, w.Cluster.Patch(t.Context(), build, client.RawPatch(types.MergePatchType, []byte(patch))))
	}
	rest(w)
	require.Len(t, w.Log().Writes(), before, "reconciling a finished build must write nothing")
	require.Len(t, w.Workflows(), children)
	require.Equal(t, children, w.Count(`SELECT count(*) FROM task`))
	w.Judge()
}

// rest returns after two sweeps: what the controller wanted to write is written.
func rest(w *world.World) { pause(w, 2*sweepInterval+time.Second) }

// sweepInterval is that of every world.
const sweepInterval = 5 * time.Second
