package chaos

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

// The leader alone probes the clusters. After its death the replica that stood by goes on
// within one interval, counted from the death.
func TestTheReplicaThatStandsByGoesOnProbingClusters(t *testing.T) {
	long(t)
	const interval = 15 * time.Second
	w := newQuietWorld(t, "LEADER_ELECT=true", "CLUSTER_PROBE_INTERVAL="+interval.String())
	server := target.New(t)
	require.NoError(t, w.Everywhere.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: "eu"}, Data: map[string][]byte{"kubeconfig": server.Kubeconfig(t)},
	}))
	require.NoError(t, w.Everywhere.Create(t.Context(), given.TargetCluster("eu")))
	becomes := func(phase v1alpha1.ClusterPhase) {
		w.Eventually("the cluster is "+string(phase), func(ctx context.Context) bool {
			var cluster v1alpha1.TargetCluster
			return w.Everywhere.Get(ctx, client.ObjectKey{Name: "eu"}, &cluster) == nil && cluster.Status.Phase == phase
		})
	}
	leader := w.StartWith(env.ControllerOptions{Binary: "penstock", Env: []string{"POD_UID=pod-0"}})
	becomes(v1alpha1.ClusterHealthy)
	server.Reset()
	w.StartWith(env.ControllerOptions{Binary: "penstock", Env: []string{"POD_UID=pod-1"}})
	require.LessOrEqual(t, len(server.Requests()), 1, "the one that stands by does not probe")

	require.NoError(t, leader.Kill())
	died, cpu := time.Now(), cpushare.Start()
	server.Reset()
	server.Instead(target.Status(http.StatusInternalServerError))
	w.Eventually("the next probe", func(context.Context) bool { return len(server.Requests()) > 0 })
	took := time.Since(died)
	require.NoError(t, inTime(took, interval, cpu))
	becomes(v1alpha1.ClusterDegraded)
	t.Logf("the next probe came %s after the death of the leader", took.Round(time.Millisecond))
	// The oracle judges Workflows, and here are none.
}
