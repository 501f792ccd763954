package install

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/penstock-cd/penstock/test/env"
)

// patience bounds each wait.
const patience = time.Minute

// prepared has what releases need and do not bring: Argo's kinds and the Prometheus Operator's.
var prepared = sync.OnceValue(func() error { return prepare(local) })

func prepare(cluster *env.Environment) error {
	argo, err := env.Part("argo-crds")
	if err != nil {
		return err
	}
	for _, path := range []string{argo, filepath.Join("testdata", "operator.yaml")} {
		if _, err := cluster.Kubectl(context.Background(), "apply", "--server-side", "-f", path); err != nil {
			return err
		}
	}
	_, err = cluster.Kubectl(context.Background(), "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
	return err
}

// kubectl runs kubectl as the administrator, with text as its standard input.
func kubectl(t *testing.T, cluster *env.Environment, text string, args ...string) string {
	t.Helper()
	path, err := env.Part("kubectl")
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, append([]string{"--kubeconfig", cluster.Kubeconfig}, args...)...)
	command.Stdin = bytes.NewReader([]byte(text))
	printed, err := command.CombinedOutput()
	require.NoError(t, err, "kubectl %v: %s", args, printed)
	return string(printed)
}

// createNamespace makes one that enforces the restricted pod security standard.
func createNamespace(t *testing.T, cluster *env.Environment, name string) {
	t.Helper()
	kube, err := kubernetes.NewForConfig(cluster.Config)
	require.NoError(t, err)
	restricted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	_, err = kube.CoreV1().Namespaces().Create(t.Context(), restricted, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestTheAPIServerAcceptsEveryManifest(t *testing.T) {
	t.Parallel()
	require.NoError(t, prepared())
	for _, name := range []string{"dry-run", "one", "two"} {
		createNamespace(t, local, name)
	}
	for sentence, set := range map[string][]string{
		"with its defaults":          nil,
		"with everything":            whole,
		"with Roles alone":           narrow,
		"with a URL of the database": {"database.url=postgres://penstock:secret@db.example.com/penstock", "database.passwordKey=password", "database.password=secret"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			text, err := rendering{release: "dry", namespace: "dry-run", set: set}.text(t)
			require.NoError(t, err)
			kubectl(t, local, text, "apply", "--dry-run=server", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-")
		})
	}
}

func TestPodsAreAdmittedWhereTheRestrictedStandardIsEnforced(t *testing.T) {
	t.Parallel()
	require.NoError(t, prepared())
	createNamespace(t, local, "restricted")
	pods := 0
	for _, set := range [][]string{nil, whole} {
		objects := rendering{release: "strict", namespace: "restricted", set: set}.objects(t)
		for _, object := range objects {
			if object.GetKind() == "ServiceAccount" {
				apply(t, object)
			}
		}
		for _, object := range objects {
			if kind := object.GetKind(); kind == "Deployment" || kind == "StatefulSet" {
				pods++
				kubectl(t, local, podOf(t, object), "create", "--dry-run=server", "-f", "-")
			}
		}
	}
	require.Equal(t, 5, pods)
}

func apply(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	text, err := object.MarshalJSON()
	require.NoError(t, err)
	kubectl(t, local, string(text), "apply", "-f", "-")
}

// podOf is the pod that a Deployment or StatefulSet makes, without its volume claims.
func podOf(t *testing.T, workload *unstructured.Unstructured) string {
	t.Helper()
	template, found, err := unstructured.NestedMap(workload.Object, "spec", "template")
	require.NoError(t, err)
	require.True(t, found)
	pod := &unstructured.Unstructured{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName(workload.GetName())
	pod.SetNamespace(workload.GetNamespace())
	if workload.GetKind() == "StatefulSet" {
		volumes, _, err := unstructured.NestedSlice(template, "spec", "volumes")
		require.NoError(t, err)
		volumes = append(volumes, map[string]any{"name": "data", "emptyDir": map[string]any{}})
		require.NoError(t, unstructured.SetNestedSlice(template, volumes, "spec", "volumes"))
	}
	text, err := yaml.Marshal(pod.Object)
	require.NoError(t, err)
	return string(text)
}
