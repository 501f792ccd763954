package env

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPartComesFromTheAssetsWhereTheyHaveIt(t *testing.T) {
	assets := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(assets, "etcd"), nil, 0o700))
	t.Setenv("KUBEBUILDER_ASSETS", assets)

	etcd, err := Part("etcd")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(assets, "etcd"), etcd)
	argo, err := Part("workflow-controller")
	require.NoError(t, err)
	require.Equal(t, "bin", filepath.Base(filepath.Dir(argo)))
	_, err = Part("no-such-part")
	require.ErrorContains(t, err, "hack/build-parts.sh")
}

func TestTheModuleIsFoundUpwardsPastOthers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	inner := filepath.Join(root, "hack", "tools")
	require.NoError(t, os.MkdirAll(inner, 0o755))
	require.Empty(t, findModule(inner))
	require.NoError(t, os.WriteFile(filepath.Join(inner, "go.mod"), []byte("module github.com/penstock-cd/penstock/hack/tools\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("// why\n"+module+"\ngo 1.26\n"), 0o600))
	require.Equal(t, root, findModule(inner))
}
