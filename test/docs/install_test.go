package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
)

// The reader has a cluster with Argo in it, and Helm.
func TestEveryCommandOfTheInstallPageRuns(t *testing.T) {
	cluster, err := env.Start(t.Context(), env.Options{ControllerManager: true, WithoutCRDs: true, WithoutPostgres: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	argo, err := env.Part("argo-crds")
	require.NoError(t, err)
	_, err = cluster.Kubectl(t.Context(), "apply", "--server-side", "-f", argo)
	require.NoError(t, err)

	r := newReader(t, "install.md")
	r.useHelm(t, cluster)
	r.patience = 2 * time.Minute // it deletes a whole installation, and waits until its namespace is gone
	left := 0
	for _, command := range commandsOf(t, r.text(t)) {
		if command.notRun != "" {
			left++
			continue
		}
		if strings.Contains(command.text, "delete") {
			requireServed(t, cluster)
		}
		r.run(t, command)
	}
	require.LessOrEqual(t, left, 1, "most of the page is to be run")
	names, err := cluster.Kubectl(t.Context(), "get", "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy", "-o", "name")
	require.NoError(t, err)
	require.NotContains(t, names, "penstock", "nothing is left")
}

// requireServed waits until the API server lists every kind of Penstock. No reader is as fast as
// the test: where a CRD is deleted before its storage is ready, the API server asks for the objects
// that are left again and again, ever later ("storage is (re)initializing").
func requireServed(t *testing.T, cluster *env.Environment) {
	t.Helper()
	names, err := cluster.Kubectl(t.Context(), "get", "crd", "-o", "name")
	require.NoError(t, err)
	for _, name := range strings.Fields(names) {
		kind := strings.TrimPrefix(name, "customresourcedefinition.apiextensions.k8s.io/")
		if !strings.HasSuffix(kind, ".penstock.dev") {
			continue
		}
		require.Eventually(t, func() bool {
			_, err := cluster.Kubectl(t.Context(), "get", kind, "-A")
			return err == nil
		}, patience, 100*time.Millisecond, "%s can't be listed", kind)
	}
}

// useHelm has the reader's commands run against the cluster, with the tools and the Makefile of
// the repository, and with a home of Helm's own.
func (r *reader) useHelm(t *testing.T, cluster *env.Environment) {
	t.Helper()
	for _, name := range []string{"Makefile", "hack", "bin"} {
		path, err := filepath.Abs(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(r.dir, name)))
	}
	tools, err := filepath.Abs(filepath.Join(root, "bin", "tools"))
	require.NoError(t, err)
	home := t.TempDir()
	r.environment = append(r.environment, "KUBECONFIG="+cluster.Kubeconfig, "PATH="+tools+":"+filepath.Dir(tools)+":"+os.Getenv("PATH"),
		"HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
}
