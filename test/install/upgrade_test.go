package install

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// previousChart unpacks charts/penstock of version 0.1.0 as testdata keeps it: a checkout may
// have no history.
func previousChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	archive, err := filepath.Abs(filepath.Join("testdata", "previous-chart.tgz"))
	require.NoError(t, err)
	printed, err := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", dir).CombinedOutput()
	require.NoError(t, err, "%s", printed)
	return filepath.Join(dir, "charts", "penstock")
}

// The previous chart had its CRDs in crds/, which Helm neither owns nor upgrades.
func TestAnUpgradeFromThePreviousChartTakesTheCRDsAndKeepsWhatIsThere(t *testing.T) {
	cluster := bareCluster(t)
	createNamespace(t, cluster, namespace)
	helm(t, cluster, "install", release, previousChart(t), "--namespace", namespace, "--set-string", "env.KUBE_API_QPS=20")
	kubectl(t, cluster, "", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
	applyOlderCRDs(t, cluster)
	kube, objects := clientsOf(t, cluster)
	require.NoError(t, objects.Create(t.Context(), given.CiPipeline("shop")))
	before, err := kube.AppsV1().Deployments(namespace).Get(t.Context(), "penstock", metav1.GetOptions{})
	require.NoError(t, err)

	upgrade := []string{"upgrade", release, chart, "--namespace", namespace, "--reset-then-reuse-values"}
	_, err = run(t.Context(), t.TempDir(), helm4, append([]string{"--kubeconfig", cluster.Kubeconfig}, upgrade...)...)
	require.ErrorContains(t, err, "cannot be imported into the current release", "without --take-ownership Helm refuses, and says why")
	helm(t, cluster, append(upgrade, "--take-ownership", "--force-conflicts")...)

	after, err := kube.AppsV1().Deployments(namespace).Get(t.Context(), "penstock", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, before.UID, after.UID, "the Deployment is the same")
	require.EqualValues(t, 2, *after.Spec.Replicas)
	require.Contains(t, kubectl(t, cluster, "", "-n", namespace, "get", "deployment", "penstock", "-o", "yaml"), "KUBE_API_QPS")
	require.NotContains(t, kubectl(t, cluster, "", "get", "crd", "cipipelines.penstock.dev", "-o", "jsonpath={.spec}"), "status.older")
	require.Contains(t, kubectl(t, cluster, "", "get", "crd", "cdpipelines.penstock.dev", "-o", "yaml"), "meta.helm.sh/release-name: penstock")
	requireThere(t, objects, "shop")
	helm(t, cluster, upgrade...) // from now on without the flag

	helm(t, cluster, "uninstall", release, "--namespace", namespace)
	_, err = kube.AppsV1().Deployments(namespace).Get(t.Context(), "penstock", metav1.GetOptions{})
	require.True(t, errors.IsNotFound(err), "%v", err)
	require.Empty(t, clusterWide(t, cluster), "what is left is the CRDs alone")
	requireThere(t, objects, "shop")

	helm(t, cluster, "install", release, chart, "--namespace", namespace)
	requireThere(t, objects, "shop")
}

func TestUninstallingTakesCRDsThatAreNotKept(t *testing.T) {
	cluster := bareCluster(t)
	createNamespace(t, cluster, namespace)
	helm(t, cluster, "install", release, chart, "--namespace", namespace, "--set", "crds.keep=false")
	require.Contains(t, kubectl(t, cluster, "", "get", "crd", "-o", "name"), "cibuilds.penstock.dev")
	helm(t, cluster, "uninstall", release, "--namespace", namespace)
	require.Eventually(t, func() bool {
		return !strings.Contains(kubectl(t, cluster, "", "get", "crd", "-o", "name"), "penstock.dev")
	},
		patience, 100*time.Millisecond)
}

// applyOlderCRDs leaves CRDs as an administrator has applied them by hand, which the new chart
// changes.
func applyOlderCRDs(t *testing.T, cluster *env.Environment) {
	t.Helper()
	older := strings.ReplaceAll(read(t, filepath.Join(chart, "files", "crds"), "penstock.dev_cipipelines.yaml"), "jsonPath: .status.lastBuild", "jsonPath: .status.older")
	kubectl(t, cluster, older, "apply", "-f", "-")
}

// bareCluster is an API server of the test's own, since a cluster has one set of CRDs.
func bareCluster(t *testing.T) *env.Environment {
	t.Helper()
	cluster, err := env.Start(t.Context(), env.Options{WithoutCRDs: true, WithoutPostgres: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	return cluster
}

func clientsOf(t *testing.T, cluster *env.Environment) (*kubernetes.Clientset, client.Client) {
	t.Helper()
	kube, err := kubernetes.NewForConfig(cluster.Config)
	require.NoError(t, err)
	objects, err := cluster.NewClient(env.Admin)
	require.NoError(t, err)
	return kube, objects
}

func requireThere(t *testing.T, objects client.Client, pipeline string) {
	t.Helper()
	require.NoError(t, objects.Get(t.Context(), client.ObjectKey{Namespace: given.Namespace, Name: pipeline}, &v1alpha1.CiPipeline{}))
}

// clusterWide names what of a release has no namespace, but for CRDs.
func clusterWide(t *testing.T, cluster *env.Environment) string {
	t.Helper()
	return kubectl(t, cluster, "", "get", "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding", "-o", "name",
		"-l", "app.kubernetes.io/instance="+release, "--ignore-not-found")
}

func TestTwoReleasesWorkBesideEachOther(t *testing.T) {
	t.Parallel()
	require.NoError(t, prepared())
	for _, name := range []string{"first", "second", "of-the-second"} {
		createNamespace(t, local, name)
	}
	helm(t, local, "install", "alpha", chart, "--namespace", "first", "--set", "crds.enabled=false")
	refused := []string{"--kubeconfig", local.Kubeconfig, "install", "beta", chart, "--namespace", "first", "--set", "crds.enabled=false"}
	_, err := run(t.Context(), t.TempDir(), helm4, refused...)
	require.ErrorContains(t, err, "namespace first has the release alpha of penstock already: install this one in another namespace")
	helm(t, local, "install", "beta", chart, "--namespace", "second", "--set",
		"crds.enabled=false,server.enabled=false,admission.enabled=false,roles.enabled=false", "--set", "watchNamespaces={of-the-second}")
	helm(t, local, "upgrade", "alpha", chart, "--namespace", "first", "--set", "crds.enabled=false")
	helm(t, local, "uninstall", "alpha", "--namespace", "first")
	require.Contains(t, kubectl(t, local, "", "-n", "of-the-second", "auth", "can-i", "create", "workflows.argoproj.io",
		"--as=system:serviceaccount:second:beta-penstock"), "yes")
}
