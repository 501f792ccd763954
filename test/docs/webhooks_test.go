package docs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
)

// A new user follows the page with nothing but a shell, kubectl, curl and openssl.
func TestEveryCommandOfTheWebhooksPageRuns(t *testing.T) {
	r := newReader(t, "webhooks.md")
	require.NoError(t, local.InstallServer(t.Context()))
	r.run(t, command{language: "console", text: "kubectl apply -k config/crd"})
	url := local.NewDatabase(t)
	controller, err := local.StartController(t.Context(), env.ControllerOptions{DatabaseURL: url})
	require.NoError(t, err)
	defer func() { require.NoError(t, controller.Stop()) }()
	server, err := local.StartServer(t.Context(), env.ServerOptions{DatabaseURL: url})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)

	// One shell, since commands use the variables of those before.
	script := []string{"set -euo pipefail"}
	for _, command := range commandsOf(t, r.text(t)) {
		text := strings.ReplaceAll(command.text, "https://localhost:9444", server.HooksURL)
		if command.notRun == "" && !strings.HasPrefix(text, "kubectl penstock ") {
			script = append(script, strings.ReplaceAll(text, "curl ", "curl --fail-with-body --silent --show-error "))
		}
		if strings.HasPrefix(text, "kubectl create namespace ci") {
			script = append(script, "kubectl -n ci apply -f - <<'YAML'\n"+pipelineOfTheReader(t)+"\nYAML")
		}
	}
	r.run(t, command{language: "console", text: strings.Join(script, "\n")})

	require.Eventually(t, func() bool {
		var receivers v1alpha1.ReceiverList
		require.NoError(t, admin.List(t.Context(), &receivers, client.InNamespace("ci")))
		outcomes := map[string]string{}
		for _, receiver := range receivers.Items {
			if receiver.Status.LastDelivery != nil {
				outcomes[receiver.Name] = receiver.Status.LastDelivery.Message
			}
		}
		return strings.HasPrefix(outcomes["github"], "Built shop-") && outcomes["jenkins"] == "Reported shop-7 as Succeeded"
	}, patience, 100*time.Millisecond)
	var builds v1alpha1.CiBuildList
	require.NoError(t, admin.List(t.Context(), &builds, client.InNamespace("ci")))
	require.Len(t, builds.Items, 2)
}

// pipelineOfTheReader is what the page takes for granted.
func pipelineOfTheReader(t *testing.T) string {
	t.Helper()
	pipeline := &v1alpha1.CiPipeline{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "CiPipeline"},
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec:       v1alpha1.CiPipelineSpec{Source: &v1alpha1.Source{URL: "git@github.com:team/shop.git", Revision: "main"}},
	}
	text, err := json.Marshal(pipeline)
	require.NoError(t, err)
	return string(text)
}
