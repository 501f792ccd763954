package fleet

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/test/target"
)

func TestKindsOfTheAllowList(t *testing.T) {
	t.Parallel()
	list, err := ParseKinds([]string{"pods", "deployments.apps", "ingresses.networking.k8s.io", "services", "services.serving.knative.dev", "pods"})
	require.NoError(t, err)
	require.Len(t, list, 5)
	for name, want := range map[string]string{
		"pods": "pods", "pod": "pods", "po": "pods", "Deployment": "deployments.apps", "deploy": "deployments.apps", "deployments.apps": "deployments.apps",
		"ing": "ingresses.networking.k8s.io", "ingress": "ingresses.networking.k8s.io", "services.serving.knative.dev": "services.serving.knative.dev",
		"services": "services",
	} {
		kind, err := list.Find(name)
		require.NoError(t, err, name)
		require.Equal(t, want, kind.String(), name)
	}
	_, err = list.Find("secrets")
	require.ErrorContains(t, err, `the kind "secrets" is not shown: the kinds of RESOURCE_KINDS are pods, deployments.apps`)
	_, err = list.Find("service")
	require.ErrorContains(t, err, "is in several groups: write one of services, services.serving.knative.dev")
	for _, text := range []string{"", "secrets", "secrets.", "pods/log", "Pods", ".apps", "pods..", "../x", "a b"} {
		_, err := ParseKind(text)
		require.Error(t, err, text)
	}
}

func TestAKindOfACRDIsAskedForOnceAndOnlyWhereItIsNotKnown(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	made := clientOf(t, server.Kubeconfig(t))
	group := &metav1.APIGroup{Name: "example.com", PreferredVersion: metav1.GroupVersionForDiscovery{Version: "v2"}}
	server.Handle("/apis/example.com", target.JSON(group))
	server.Handle("/apis/example.com/v2", target.JSON(&metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: "things", Namespaced: true}}}))

	resource, err := made.Resolve(t.Context(), Kind{Resource: "pods"})
	require.NoError(t, err)
	require.Equal(t, "/api/v1/namespaces/shop/pods/web", resource.Path("shop", "web"))
	require.Empty(t, server.Requests())
	for range 2 {
		resource, err = made.Resolve(t.Context(), Kind{Group: "example.com", Resource: "things"})
		require.NoError(t, err)
		require.Equal(t, "/apis/example.com/v2/things", resource.Path("", ""))
		for _, absent := range []Kind{{Group: "example.com", Resource: "others"}, {Group: "example.org", Resource: "things"}} {
			_, err = made.Resolve(t.Context(), absent)
			require.ErrorIs(t, err, ErrNotServed)
		}
	}
	require.Len(t, server.Requests(), 5)

	server.Instead(target.Status(http.StatusInternalServerError))
	_, err = made.Resolve(t.Context(), Kind{Group: "example.net", Resource: "things"})
	require.NotErrorIs(t, err, ErrNotServed, "one that is down may serve it")
}

func TestPathsOfClusterScopedKindsHaveNoNamespace(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/api/v1/nodes/n1", everywhere[Kind{Resource: "nodes"}].Path("shop", "n1"))
}
