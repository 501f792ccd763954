package chaos

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
)

// Tasks that were tried before the gate shut may have Workflows that nobody knows of, so that
// only a submitter may end or hold them: that must not wait for the gate to open.
func TestWhatWasTriedBeforeTheGateShutIsEndedOrHeldAtOnce(t *testing.T) {
	long(t)
	t.Parallel()
	w := newWorld(t, "MAX_ACTIVE_WORKFLOWS=1", "SWEEP_INTERVAL=10m")
	waiting := []string{"suspended", "deleted", "held", "moved", "waits"}
	w.Create(given.WorkflowTemplate("slow", time.Hour), given.CiPipeline(given.CI), given.CiBuild("b1"), given.CdPipeline("manual", given.Manual),
		given.CiPipeline("other"), given.CiBuild("b2", given.BuildOf("other")), given.CdPipeline("runs", given.BelowCi("other"), given.Runs("slow"), given.Priority(9)))
	for _, pipeline := range waiting {
		w.Create(given.CdPipeline(pipeline))
	}
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	refuse := func(which func(fault.Request) bool) fault.Rule {
		return func(_ context.Context, request fault.Request) fault.Fault {
			if request.Verb == "create" && request.Resource == "workflows" && which(request) {
				return fault.InternalError
			}
			return fault.None
		}
	}
	proxy.Break(refuse(anything))
	w.StartWith(env.ControllerOptions{Cluster: proxy.Through(local.ConfigFor(env.Penstock))})
	w.Succeed("b1")
	w.Eventually("each was tried", func(context.Context) bool {
		return w.Count("SELECT count(*) FROM task WHERE attempt > 0") == len(waiting)
	})
	proxy.Break(refuse(func(request fault.Request) bool { return !strings.HasPrefix(request.Name, "runs-") }))
	w.Succeed("b2")
	w.RowsAre(1, "Running")
	w.RowsAre(len(waiting), "Pending")
	change := func(pipeline, spec string) {
		object := &v1alpha1.CdPipeline{}
		object.Name = pipeline
		require.NoError(t, w.Cluster.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"spec":`+spec+`}`))))
	}
	change("suspended", `{"suspend":true}`)
	change("held", `{"hold":true}`)
	change("moved", `{"parentRef":{"kind":"CdPipeline","name":"manual"}}`)
	w.Delete(given.CdPipeline("deleted"))
	began := time.Now()
	w.Eventually("all but one are ended or held", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE (owner_name, status, reason) IN (
			('suspended', 'Cancelled', 'Suspended'), ('held', 'Held', 'Hold'), ('moved', 'Cancelled', 'ParentChanged'), ('deleted', 'Cancelled', 'PipelineDeleted'))`) == 4
	})
	require.Less(t, time.Since(began), 10*time.Second)
	require.Equal(t, 1, w.Rows("Pending"))
	require.Equal(t, 1, w.Rows("Running"))
	w.MadeAre(1)

	change("waits", `{"suspend":true}`)
	w.RowsAre(4, "Cancelled")
	require.NoError(t, w.Cluster.Delete(t.Context(), &w.Workflows()[0]))
	w.RowsAre(1, "Error")
	w.Judge()
}
