package docs

import (
	"os"
	"path/filepath"
	"testing"

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
	left := 0
	for _, command := range commandsOf(t, r.text(t)) {
		if command.notRun != "" {
			left++
			continue
		}
		r.run(t, command)
	}
	require.LessOrEqual(t, left, 1, "most of the page is to be run")
	names, err := cluster.Kubectl(t.Context(), "get", "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy", "-o", "name")
	require.NoError(t, err)
	require.NotContains(t, names, "penstock", "nothing is left")
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
