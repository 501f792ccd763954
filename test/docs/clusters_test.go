package docs

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/penstock-cd/penstock/test/env"
)

// fleetFixture is what the page takes for granted: a cluster that is down, what Argo CD knows,
// and pipelines. eu-1 is another API server.
const fleetFixture = `kubectl create namespace fleet
kubectl create namespace argocd
kubectl apply -f - <<'YAML'
apiVersion: v1
kind: Secret
metadata: {name: cluster-eu-3, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}
stringData: {name: eu-3, server: "https://eu-3.example.org:6443", config: '{"bearerToken":"t","tlsClientConfig":{"insecure":true}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: cluster-us-1, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}
stringData: {name: us-1, server: "https://us-1.example.org:6443", config: '{"awsAuthConfig":{"clusterName":"us-1"}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: eu-2, namespace: penstock-system}
stringData:
  kubeconfig: |
    apiVersion: v1
    kind: Config
    clusters: [{name: c, cluster: {server: "https://127.0.0.1:1", insecure-skip-tls-verify: true}}]
    users: [{name: u, user: {token: t}}]
    contexts: [{name: c, context: {cluster: c, user: u}}]
    current-context: c
---
apiVersion: penstock.dev/v1alpha1
kind: TargetCluster
metadata: {name: eu-2}
spec: {kubeconfigSecretRef: {name: eu-2}}
---
apiVersion: penstock.dev/v1alpha1
kind: CdPipeline
metadata: {name: checkout-eu, namespace: fleet}
spec:
  parentRef: {kind: CiPipeline, name: checkout}
  deploy: {workflow: {templateRef: {name: deploy}}}
YAML
kubectl --context eu-1 create namespace fleet`

func TestEveryCommandOfTheClustersPageRuns(t *testing.T) {
	there, err := env.Start(t.Context(), env.Options{ControllerManager: true, WithoutCRDs: true, WithoutPostgres: true}) // it makes the token of config/target
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, there.Stop()) })
	require.NoError(t, local.InstallServer(t.Context()))
	database := local.NewDatabase(t)
	controller, err := local.StartController(t.Context(), env.ControllerOptions{DatabaseURL: database, Name: "fleet", Env: []string{"CLUSTER_PROBE_INTERVAL=5s", "WATCH_NAMESPACES=fleet"}})
	require.NoError(t, err)
	defer func() { require.NoError(t, controller.Stop()) }()
	server, err := local.StartServer(t.Context(), env.ServerOptions{DatabaseURL: database, Name: "fleet-server"})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()

	r := newReader(t, "clusters.md")
	r.withPlugin(t)
	r.withContext(t, "eu-1", there)
	r.run(t, command{language: "console", text: fleetFixture})
	ran := 0
	for _, command := range commandsOf(t, strings.ReplaceAll(r.text(t), "-n shop", "-n fleet")) { // shop is another page's
		switch {
		case strings.HasPrefix(command.text, "kubectl penstock clusters confirm"):
			continue // the end-to-end tests replace a cluster
		case command.text == "echo $?":
			continue // what it prints is compared below
		case strings.Contains(command.text, "import --from argocd"), strings.Contains(command.text, "get pods,deploy"):
			command.text = "code=0; " + command.text + ` || code=$?; [[ $code = 3 ]]`
		case command.text == "kubectl penstock clusters":
			r.run(t, known)
		}
		r.run(t, command)
		ran++
	}
	require.Greater(t, ran, 9)
	r.run(t, command{language: "console", text: `[[ $(kubectl get targetcluster eu-1 -o jsonpath='{.status.phase} {.metadata.labels.region}') = "Healthy eu" ]]`})
	r.run(t, command{language: "console", text: "kubectl delete targetclusters --all && kubectl -n penstock-system delete secret eu-2"})
}

// known waits until the controller has found out how both clusters are.
var known = command{language: "console", text: "kubectl wait targetcluster eu-1 --for=jsonpath='{.status.phase}'=Healthy --timeout=25s && " +
	"kubectl wait targetcluster eu-2 --for=jsonpath='{.status.phase}'=Unreachable --timeout=25s"}

// withContext adds a cluster to the reader's kubeconfig, which stays that of the current context.
func (r *reader) withContext(t *testing.T, name string, cluster *env.Environment) {
	t.Helper()
	mine, err := clientcmd.LoadFromFile(local.Kubeconfig)
	require.NoError(t, err)
	theirs, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	require.NoError(t, err)
	context := theirs.Contexts[theirs.CurrentContext]
	mine.Clusters[name], mine.AuthInfos[name] = theirs.Clusters[context.Cluster], theirs.AuthInfos[context.AuthInfo]
	context.Cluster, context.AuthInfo = name, name
	mine.Contexts[name] = context
	file, err := os.CreateTemp(r.dir, "kubeconfig")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, clientcmd.WriteToFile(*mine, file.Name()))
	r.environment = append(r.environment, "KUBECONFIG="+file.Name())
}
