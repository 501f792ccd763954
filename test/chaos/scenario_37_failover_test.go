package chaos

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	clientrest "k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	// failover37 is how many pipelines run in the cluster whose address fails over.
	failover37, failover37Short = 150, 80
	// inFlight37 is the most Workflows that are being created in one cluster at once.
	inFlight37 = 5
)

func TestNoWorkflowIsCreatedInTheClusterThatAnAddressFailsOverTo(t *testing.T) {
	for what, c := range map[string]struct {
		failOver func(*fault.APIServer, *clientrest.Config) error
		most     int // Workflows that may exist in the wrong cluster
	}{
		"connections are cut":                              {(*fault.APIServer).Become, 0},
		"a proxy keeps connections and changes the server": {(*fault.APIServer).Swap, inFlight37},
	} {
		t.Run(what, func(t *testing.T) {
			failsOver(t, c.failOver, c.most)
		})
	}
}

// failsOver has the address of a cluster lead to another one in the middle of a burst.
func failsOver(t *testing.T, failOver func(*fault.APIServer, *clientrest.Config) error, most int) {
	runs := sized(failover37, failover37Short)
	w := newWorld(t)
	east, west := another(t), another(t)
	proxy, err := fault.NewAPIServer(east.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	there := w.Join("east-"+w.Namespace, east, through(proxy))
	wrong := w.Prepare(west)
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(runs, "there", given.RunsIn(there.Name)))
	w.Create(given.CiBuild("b1"))
	w.Start("KUBE_API_QPS=20")
	w.Succeed("b1")
	w.Eventually("the burst is under way", func(context.Context) bool { return workflowsThere(t, there) >= 30 })
	requests := proxy.Requests()
	require.NoError(t, failOver(proxy, wrong.Config()))
	w.Eventually("the lane is shut", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cluster_lane WHERE reason = 'ClusterChanged'`) == 1
	})
	require.Less(t, workflowsThere(t, there), runs, "it was in the middle")
	require.LessOrEqual(t, workflowsThere(t, wrong), most)
	require.Zero(t, w.Count(`SELECT count(*) FROM task WHERE status = 'Error'`), "nothing is taken for lost because another cluster does not know it")
	t.Logf("%d of %d requests asked who answers", whoAsked(requests), len(requests))

	if most > 0 {
		return // what became of those in flight is for a person to find out
	}
	back := there.Config()
	back.Host, back.CAData = east.Config.Host, east.Config.CAData
	require.NoError(t, failOver(proxy, back))
	w.RowsAre(runs, "Succeeded")
	w.Judge()
}

// whoAsked counts the requests for the UID of a cluster.
func whoAsked(requests []fault.Request) (count int) {
	for _, request := range requests {
		if request.Resource == "namespaces" && request.Name == "kube-system" {
			count++
		}
	}
	return count
}
