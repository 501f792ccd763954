package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/test/env"
)

func TestEveryCommandOfTheDashboardPageRuns(t *testing.T) {
	r := newReader(t, "dashboard.md")
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	require.NoError(t, cluster.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "alice"}}))
	for _, name := range []string{"dashboard", env.ControllerNamespace} {
		require.NoError(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})))
	}
	r.environment = append(r.environment, "CLIENT_SECRET=hunter2")
	for _, command := range commandsOf(t, strings.ReplaceAll(r.text(t), "-n shop", "-n dashboard")) { // shop is another page's
		require.Empty(t, command.notRun)
		if strings.HasPrefix(command.text, "kubectl penstock ") {
			continue // the tests of the plugin run these
		}
		r.run(t, command)
	}
}
