package cluster

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/enroll"
	"github.com/penstock-cd/penstock/test/env"
)

// shownKinds are the defaults of RESOURCE_KINDS.
func shownKinds(t *testing.T) []string {
	t.Helper()
	settings, _, err := config.Load(map[string]string{"DATABASE_URL": "postgres://penstock@127.0.0.1:1/penstock"})
	require.NoError(t, err)
	return slices.Sorted(slices.Values(settings.ResourceKinds))
}

func TestTheManifestForTargetsGrantsReadingTheShownKindsAndNothingElse(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../config/target/role.yaml")
	require.NoError(t, err)
	var role rbacv1.ClusterRole
	require.NoError(t, yaml.UnmarshalStrict(bytes.Split(text, []byte("\n---\n"))[0], &role))
	var granted []string
	for _, rule := range role.Rules {
		require.Equal(t, []string{"get", "list"}, rule.Verbs)
		require.Empty(t, rule.NonResourceURLs)
		for _, resource := range rule.Resources {
			granted = append(granted, fleet.Kind{Group: rule.APIGroups[0], Resource: resource}.String())
		}
	}
	slices.Sort(granted)
	require.Equal(t, shownKinds(t), granted)
	require.NotContains(t, granted, "secrets")
}

// As docs/clusters.md says, but for the token, which the controller manager would make.
func TestAClusterIsConnectedWithLeastRights(t *testing.T) {
	t.Parallel()
	_, err := local.Kubectl(t.Context(), "apply", "-k", "../../config/target")
	require.NoError(t, err)
	giveToken(t)
	kubeconfig, err := clientcmd.LoadFromFile(local.Kubeconfig)
	require.NoError(t, err)
	found := enroll.FromContext(t.Context(), kubeconfig, "local", enroll.OfAccount)
	require.NoError(t, found.Err)

	reaches, err := fleet.Parse(found.Kubeconfig)
	require.NoError(t, err)
	reached, err := fleet.NewClient(reaches)
	require.NoError(t, err)
	t.Cleanup(reached.Close)
	kinds, err := fleet.ParseKinds(shownKinds(t))
	require.NoError(t, err)
	seen := fleet.Probe(t.Context(), reached, kinds)
	require.Nil(t, seen.Failure)
	require.Equal(t, shownKinds(t), seen.Permissions.Allowed)
	require.Empty(t, seen.Permissions.Denied)
	for _, path := range []string{"/api/v1/secrets", "/api/v1/configmaps", "/api/v1/namespaces/default/pods/web/log"} {
		var failure *fleet.Failure
		require.ErrorAs(t, reached.Read(t.Context(), http.MethodGet, path, nil, 1<<20, nil), &failure, path)
		require.Equal(t, fleet.Forbidden, failure.Class, path)
	}
}

// giveToken fills the Secret of config/target.
func giveToken(t *testing.T) {
	t.Helper()
	admin, err := kubernetes.NewForConfig(local.ConfigFor(env.Admin))
	require.NoError(t, err)
	token, err := admin.CoreV1().ServiceAccounts("penstock-target").CreateToken(
		context.WithoutCancel(t.Context()), "penstock-target", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	data := base64.StdEncoding.EncodeToString([]byte(token.Status.Token))
	_, err = local.Kubectl(t.Context(), "-n", "penstock-target", "patch", "secret", "penstock-target", "--type=merge",
		"-p", fmt.Sprintf(`{"data":{"token":%q}}`, data))
	require.NoError(t, err)
}
