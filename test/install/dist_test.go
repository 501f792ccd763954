package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestWhatKubectlInstallsIsTheChartWithItsDefaults(t *testing.T) {
	t.Parallel()
	out := dist(t)
	namespace, rest := split(objectsIn(t, read(t, out, "install.yaml")), "Namespace")
	require.Len(t, namespace, 1)
	require.Equal(t, "restricted", namespace[0].GetLabels()["pod-security.kubernetes.io/enforce"])
	charted := withoutHelm((rendering{}).objects(t))
	require.Equal(t, charted, rest)
	crds, _ := split(charted, "CustomResourceDefinition")
	require.Len(t, crds, 9)
	require.Equal(t, crds, objectsIn(t, read(t, out, "crds.yaml")))
}

func TestKubectlAppliesWhatIsMadeForItTwice(t *testing.T) {
	cluster := bareCluster(t)
	path := filepath.Join(dist(t), "install.yaml")
	require.Contains(t, kubectl(t, cluster, "", "apply", "-f", path), "deployment.apps/penstock-server created")
	kubectl(t, cluster, "", "diff", "-f", path) // which fails where a second apply would change something
	kubectl(t, cluster, "", "apply", "--dry-run=server", "-f", filepath.Join(filepath.Dir(path), "crds.yaml"))
}

// dist runs hack/dist.sh.
func dist(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	printed, err := exec.CommandContext(t.Context(), filepath.Join(root, "hack", "dist.sh"), out).CombinedOutput()
	require.NoError(t, err, "%s", printed)
	return out
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(text)
}

func split(objects []*unstructured.Unstructured, kind string) (ofKind, others []*unstructured.Unstructured) {
	for _, object := range objects {
		if object.GetKind() == kind {
			ofKind = append(ofKind, object)
		} else {
			others = append(others, object)
		}
	}
	return ofKind, others
}

// withoutHelm takes away what only Helm reads.
func withoutHelm(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	for _, object := range objects {
		for _, path := range [][]string{
			{"metadata", "labels", "app.kubernetes.io/managed-by"}, {"metadata", "labels", "helm.sh/chart"}, {"metadata", "annotations", "helm.sh/resource-policy"},
		} {
			unstructured.RemoveNestedField(object.Object, path...)
		}
	}
	return objects
}
