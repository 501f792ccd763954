package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
)

// apiFixture is what the page takes for granted, and what "curl …" stands for: ask prints the
// answer, and fails unless the server has understood the question. What the page names and
// nobody has made, such as notification 4711, is not found.
const apiFixture = `kubectl create namespace api
kubectl -n api create serviceaccount ci-dashboard
kubectl create clusterrolebinding api-test --clusterrole=cluster-admin --serviceaccount=api:ci-dashboard
kubectl -n api apply -f - <<'YAML'
apiVersion: penstock.dev/v1alpha1
kind: CiPipeline
metadata: {name: shop}
---
apiVersion: penstock.dev/v1alpha1
kind: CdPipeline
metadata: {name: checkout-staging}
spec:
  application: shop
  parentRef: {kind: CiPipeline, name: shop}
  deploy: {workflow: {templateRef: {name: deploy}}}
---
apiVersion: penstock.dev/v1alpha1
kind: NotificationChannel
metadata: {name: deploys}
spec: {type: webhook, webhook: {url: "https://receiver.example.com"}}
YAML
ask() {
  code=$(curl -sS --cacert ca.crt -H "Authorization: Bearer $TOKEN" -o answer -w '%{http_code}' "$@") || [[ $* = *--max-time* ]]
  cat answer
  case $code in
  2??) ;;
  404) ! grep 'the path is not served' answer ;;
  *) echo "HTTP $code"; return 1 ;;
  esac
}`

func TestEveryCommandOfTheAPIPageRuns(t *testing.T) {
	require.NoError(t, local.InstallServer(t.Context()))
	database := local.NewDatabase(t)
	controller, err := local.StartController(t.Context(), env.ControllerOptions{DatabaseURL: database, Name: "api", Env: []string{"WATCH_NAMESPACES=api"}})
	require.NoError(t, err)
	defer func() { require.NoError(t, controller.Stop()) }()
	server, err := local.StartServer(t.Context(), env.ServerOptions{DatabaseURL: database, Name: "api-server"})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()

	r := newReader(t, "api.md")
	follow := strings.NewReplacer("https://localhost:8443", server.URL, "curl … ", "ask ", "curl -N … ", "ask --max-time 1 ",
		"namespaces/shop/", "namespaces/api/", "-n shop", "-n api", "=shop:", "=api:", "namespace=shop", "namespace=api")
	script := []string{"set -euo pipefail", apiFixture}
	asked := 0
	for _, command := range commandsOf(t, r.text(t)) {
		require.Empty(t, command.notRun)
		text := follow.Replace(command.text)
		if strings.Contains(text, " port-forward ") {
			continue // the server is no pod here
		}
		if strings.HasPrefix(text, "ask ") {
			asked++
		}
		script = append(script, text)
		if strings.HasPrefix(text, "TOKEN=") { // the pipelines have to be mirrored once
			script = append(script, `curl -sSf --retry 20 --retry-delay 1 --retry-all-errors --cacert ca.crt -H "Authorization: Bearer $TOKEN" `+server.URL+"/api/v1/namespaces/api/applications/shop/status")
		}
	}
	require.Greater(t, asked, 9)
	r.run(t, command{language: "console", text: strings.Join(script, "\n")})
}
