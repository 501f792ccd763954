package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientrest "k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// runs is how many pipelines run in each of the three clusters, kills how often the controller
// is killed meanwhile, and cut for how long one cluster is cut off; beside the numbers with
// -short.
const (
	runsEach, runsEachShort = 100, 20
	kills37, kills37Short   = 50, 3
	cut, cutShort           = time.Minute, 20 * time.Second
)

// another starts one more cluster, with an Argo controller of its own.
func another(t *testing.T) *env.Environment {
	t.Helper()
	cluster, err := env.Start(t.Context(), env.Options{ControllerManager: true, Argo: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	return cluster
}

// through has Penstock reach the cluster through the proxy.
func through(proxy *fault.APIServer) func(*clientrest.Config) {
	return func(config *clientrest.Config) { *config = *proxy.Through(config) }
}

// workflowsThere counts the Workflows of the world in another cluster.
func workflowsThere(t *testing.T, there *world.Elsewhere) int {
	t.Helper()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("WorkflowList"))
	list.APIVersion = "argoproj.io/v1alpha1"
	require.NoError(t, there.Cluster.List(t.Context(), list))
	return len(list.Items)
}

func TestRunsInThreeClustersEndOnceWhileOneIsCutOffOneHasItsTokenRotatedAndTheControllerIsKilled(t *testing.T) {
	each := sized(runsEach, runsEachShort)
	w := newWorld(t)
	east, west := another(t), another(t)
	proxy, err := fault.NewAPIServer(west.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	inEast := w.Join("east-"+w.Namespace, east)
	inWest := w.Join("west-"+w.Namespace, west, through(proxy))
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(each, "here"))
	w.CreateFamily(given.CdPipelines(each, "east", given.RunsIn(inEast.Name)))
	w.CreateFamily(given.CdPipelines(each, "west", given.RunsIn(inWest.Name)))
	w.Create(given.CiBuild("b1"))
	controller := w.Start()
	w.Succeed("b1")
	w.Eventually("some of each have a Workflow", func(context.Context) bool {
		return workflowsThere(t, inEast) > 0 && workflowsThere(t, inWest) > 0
	})
	proxy.Break(func(context.Context, fault.Request) fault.Fault { return fault.Cut })
	back := time.Now().Add(cut)
	if testing.Short() {
		back = time.Now().Add(cutShort)
	}
	rotate(t, w, inEast, east)
	for range sized(kills37, kills37Short) {
		require.NoError(t, controller.Kill())
		controller = w.Start()
		moment := time.Now().Add(time.Duration(newRandom(t).IntN(1500)) * time.Millisecond)
		w.Eventually("a random moment", func(context.Context) bool { return time.Now().After(moment) })
	}
	w.Eventually("what is not in the west has ended", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE status = 'Succeeded' AND owner_name NOT LIKE 'west%'`) == 2*each
	})
	w.Eventually("the minute is over", func(context.Context) bool { return time.Now().After(back) })
	waiting := w.Count(`SELECT count(*) FROM task WHERE status IN ('Pending', 'Submitting')`)
	proxy.Break(nil)
	w.RowsAre(3*each, "Succeeded")
	t.Logf("%d waited for the west", waiting)
	require.Equal(t, each, workflowsThere(t, inEast))
	require.Equal(t, each, workflowsThere(t, inWest))
	w.Judge()
}

// rotate gives Penstock another token of the cluster's account, and takes the first one back.
func rotate(t *testing.T, w *world.World, there *world.Elsewhere, cluster *env.Environment) {
	t.Helper()
	everywhere, err := cluster.NewClient(env.Admin)
	require.NoError(t, err)
	next := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "penstock-target", Name: "next", Annotations: map[string]string{corev1.ServiceAccountNameKey: "penstock-target"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}
	require.NoError(t, everywhere.Create(t.Context(), next))
	w.Eventually("the next token", func(ctx context.Context) bool {
		return everywhere.Get(ctx, client.ObjectKeyFromObject(next), next) == nil && len(next.Data["token"]) > 0
	})
	first := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "penstock-target", Name: "penstock-target"}}
	require.NoError(t, everywhere.Delete(t.Context(), first))
	config := there.Config()
	config.BearerToken = string(next.Data["token"])
	there.Enroll(config)
}

func TestALaneWhoseClusterIsAnotherOneCreatesNothingUntilAPersonConfirms(t *testing.T) {
	w := newWorld(t)
	east, west := another(t), another(t)
	there := w.Join("east-"+w.Namespace, east)
	forEver := given.WorkflowTemplate("for-ever", 10*time.Minute)
	there.Create(forEver)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("begun", given.RunsIn(there.Name), given.Runs("for-ever")),
		given.CdPipeline("held", given.RunsIn(there.Name), given.Held), given.CiBuild("b1"))
	w.Start()
	w.Succeed("b1")
	w.RowsAre(1, "Running")

	replaced := w.Prepare(west)
	there.Enroll(replaced.Config())
	w.Eventually("the lane is shut", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cluster_lane WHERE reason = 'ClusterChanged'`) == 1
	})
	w.KubectlTells("describe targetcluster "+there.Name, "LaneOpen", "ClusterChanged", "kubectl penstock clusters confirm")
	w.Patch(&v1alpha1.CdPipeline{}, "held", `{"spec":{"hold":false}}`)
	w.KubectlTells("describe cdpipeline held", "LaneShut", "another cluster answers")
	require.Zero(t, workflowsThere(t, replaced))
	require.Equal(t, 1, w.Rows("Running"), "nobody knows what became of it")

	request := given.RunRequest("confirm", v1alpha1.ActionResume, given.OfTarget("TargetCluster", there.Name))
	w.Create(request)
	w.RowsAre(1, "Succeeded")
	w.RowsAre(1, "Error")
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM task WHERE reason = 'ClusterChanged'`))
	require.Equal(t, 1, workflowsThere(t, replaced))
}
