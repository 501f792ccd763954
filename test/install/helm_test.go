package install

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/penstock-cd/penstock/test/env"
)

// chart is the folder of the chart as it is now.
var chart = filepath.Join(root, "charts", "penstock")

const (
	helm4, helm3 = "tools/helm", "tools/helm3"
	// kubeVersion is what a chart is rendered for where there is no cluster.
	kubeVersion = "--kube-version=1.37.0"
	// release and namespace are those of most installations.
	release, namespace = "penstock", "penstock-system"
)

// run runs a helm with a home of its own, and returns what it prints.
func run(ctx context.Context, home, tool string, args ...string) (string, error) {
	path, err := env.Part(tool)
	if err != nil {
		return "", fmt.Errorf("run make helm: %w", err)
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, path, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %v: %w: %s", tool, args, err, stderr.String())
	}
	return stdout.String(), nil
}

// helm runs helm 4 as the administrator of a cluster.
func helm(t *testing.T, cluster *env.Environment, args ...string) string {
	t.Helper()
	printed, err := run(t.Context(), t.TempDir(), helm4, append([]string{"--kubeconfig", cluster.Kubeconfig}, args...)...)
	require.NoError(t, err)
	return printed
}

// rendering is a release as `helm template` makes it.
type rendering struct {
	tool, release, namespace string
	set                      []string
}

func (r rendering) text(t *testing.T) (string, error) {
	t.Helper()
	args := []string{"template", cmp.Or(r.release, release), chart, "--namespace", cmp.Or(r.namespace, namespace), kubeVersion}
	for _, value := range r.set {
		args = append(args, "--set", value)
	}
	return run(t.Context(), t.TempDir(), cmp.Or(r.tool, helm4), args...)
}

func (r rendering) objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	text, err := r.text(t)
	require.NoError(t, err)
	return objectsIn(t, text)
}

// objectsIn reads the documents of a YAML stream, in the order of their names.
func objectsIn(t *testing.T, text string) (objects []*unstructured.Unstructured) {
	t.Helper()
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), len(text)+1); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			slices.SortFunc(objects, func(a, b *unstructured.Unstructured) int { return cmp.Compare(identity(a), identity(b)) })
			return objects
		}
		require.NoError(t, err)
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// identity is an object's place in a cluster.
func identity(object *unstructured.Unstructured) string {
	return object.GroupVersionKind().GroupKind().String() + " " + object.GetNamespace() + "/" + object.GetName()
}

// whole switches everything on that a cluster can have. The Prometheus Operator's kinds are
// those of testdata/operator.yaml.
var whole = []string{
	"postgres.bundled=true", "networkPolicy.enabled=true", "networkPolicy.egress[0].to[0].ipBlock.cidr=10.0.0.0/8",
	"networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring",
	"monitoring.podMonitor.enabled=true", "monitoring.serviceMonitor.enabled=true", "monitoring.prometheusRule.enabled=true",
	"monitoring.dashboard.enabled=true", "monitoring.labels.release=prometheus",
	"server.ingress.enabled=true", "server.ingress.host=penstock.example.com", "server.ingress.tlsSecret=penstock-tls", "server.ingress.className=nginx",
	"server.oidc.issuerUrl=https://sso.example.com", "server.oidc.clientId=penstock", "server.oidc.existingSecret=sso", "server.requests.enabled=true",
	"webhooks.ingress.enabled=true", "webhooks.ingress.host=hooks.example.com", "webhooks.namespaces={default}",
	"notifications.namespaces={default}", "baseImages.namespaces={default}", "database.passwordKey=password",
	"extraEnv[0].name=PGSSLROOTCERT", "extraEnv[0].value=/ca/ca.crt", "extraVolumes[0].name=ca", "extraVolumes[0].configMap.name=database-ca",
	"extraVolumeMounts[0].name=ca", "extraVolumeMounts[0].mountPath=/ca", "imagePullSecrets[0].name=registry",
	"priorityClassName=system-cluster-critical", "nodeSelector.pool=system", "podAnnotations.a=b", "podLabels.team=platform", "commonLabels.team=platform",
	"tolerations[0].key=system", "tolerations[0].operator=Exists", "server.tlsSecret=penstock-tls", "serviceAccount.annotations.a=b",
	"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1",
	"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key=pool",
	"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].operator=Exists",
}

// narrow has Roles in two namespaces alone.
var narrow = []string{"watchNamespaces={one,two}", "server.enabled=false", "admission.enabled=false", "roles.enabled=false", "notifications.namespaces={one}"}
