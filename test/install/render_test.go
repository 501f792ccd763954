package install

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestHelm3RendersWhatHelm4Does(t *testing.T) {
	t.Parallel()
	for sentence, set := range map[string][]string{
		"with its defaults":          nil,
		"with everything":            append([]string{"postgres.password=chosen"}, whole...),
		"with Roles alone":           narrow,
		"with a URL of the database": {"database.url=postgres://penstock:secret@db.example.com/penstock"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, rendering{set: set}.objects(t), rendering{set: set, tool: helm3}.objects(t))
		})
	}
}

// The second leaves the CRDs to the first.
func TestTwoReleasesShareNoObject(t *testing.T) {
	t.Parallel()
	for sentence, second := range map[string]rendering{
		"in another namespace":                       {release: "second", namespace: "second"},
		"in the same namespace":                      {release: "second"},
		"whose names contain each other":             {release: "penstock-two"},
		"of which the second has an overridden name": {release: "second", set: []string{"fullnameOverride=other"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			first := map[string]bool{}
			for _, object := range (rendering{set: whole}).objects(t) {
				first[identity(object)] = true
			}
			second.set = append(append(second.set, whole...), "crds.enabled=false")
			for _, object := range second.objects(t) {
				require.False(t, first[identity(object)], "both have %s", identity(object))
			}
		})
	}
}

func TestARoleBindingNamesARoleAndAnAccountOfItsRelease(t *testing.T) {
	t.Parallel()
	for sentence, set := range map[string][]string{"with everything": whole, "with Roles alone": narrow} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			objects := rendering{release: "second", namespace: "second", set: set}.objects(t)
			known := map[string]bool{"Role kube-system/extension-apiserver-authentication-reader": true}
			for _, object := range objects {
				known[object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName()] = true
			}
			for _, object := range objects {
				if kind := object.GetKind(); kind == "RoleBinding" || kind == "ClusterRoleBinding" {
					requireBound(t, object, known)
				}
			}
		})
	}
}

func requireBound(t *testing.T, binding *unstructured.Unstructured, known map[string]bool) {
	t.Helper()
	kind, _, _ := unstructured.NestedString(binding.Object, "roleRef", "kind")
	name, _, _ := unstructured.NestedString(binding.Object, "roleRef", "name")
	namespace := binding.GetNamespace()
	if kind == "ClusterRole" {
		namespace = ""
	}
	require.True(t, known[kind+" "+namespace+"/"+name], "%s binds %s %s", identity(binding), kind, name)
	subjects, _, _ := unstructured.NestedSlice(binding.Object, "subjects")
	for _, subject := range subjects {
		account := subject.(map[string]any)
		if account["kind"] == "ServiceAccount" {
			require.True(t, known["ServiceAccount "+account["namespace"].(string)+"/"+account["name"].(string)], "%s is for %v", identity(binding), account)
		}
	}
}

func TestAReleaseWithRolesAloneHasNothingClusterWide(t *testing.T) {
	t.Parallel()
	for _, object := range (rendering{set: append([]string{"crds.enabled=false"}, narrow...)}).objects(t) {
		require.NotEmpty(t, object.GetNamespace(), identity(object))
		require.NotContains(t, object.GetKind(), "Cluster")
	}
}

func TestEveryFileOfTheAdmissionPoliciesIsRendered(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(chart, "files", "admission", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	rendered := map[string]bool{}
	for _, object := range (rendering{}).objects(t) {
		rendered[identity(object)] = true
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, object := range objectsIn(t, string(text)) {
			require.True(t, rendered[identity(object)], "%s has %s", filepath.Base(file), identity(object))
		}
	}
}

func TestTheServerKnowsUnderWhichPathItsIngressIs(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		set  []string
		want map[string]string
	}{
		"without a path there is none": {nil, map[string]string{"SERVER_URL": "https://penstock.example.com"}},
		"a path is part of the URL": {
			[]string{"server.ingress.path=/penstock"}, map[string]string{"SERVER_URL": "https://penstock.example.com/penstock", "DASHBOARD_BASE_PATH": "/penstock"},
		},
		"a variable of the user's goes first": {
			[]string{"server.ingress.path=/penstock/", "server.env.DASHBOARD_BASE_PATH=/tools", "server.url=https://example.com/tools"},
			map[string]string{"SERVER_URL": "https://example.com/tools", "DASHBOARD_BASE_PATH": "/tools"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			set := append([]string{"server.ingress.enabled=true", "server.ingress.host=penstock.example.com"}, tc.set...)
			found := map[string]string{}
			for _, object := range (rendering{set: set}).objects(t) {
				if object.GetKind() == "Deployment" && object.GetName() == "penstock-server" {
					found = environmentOf(t, object)
				}
			}
			require.Equal(t, tc.want, found)
		})
	}
}

func TestTheServerKnowsItsIdentityProvider(t *testing.T) {
	t.Parallel()
	set := []string{"server.ingress.enabled=true", "server.ingress.host=penstock.example.com", "server.oidc.issuerUrl=https://sso.example.com", "server.oidc.clientId=penstock"}
	public, err := (rendering{set: set}).text(t)
	require.NoError(t, err)
	require.NotContains(t, public, "OIDC_CLIENT_SECRET", "a public client has none")
	text, err := (rendering{set: append(set, "server.oidc.existingSecret=sso", "server.env.OIDC_GROUPS_CLAIM=groups")}).text(t)
	require.NoError(t, err)
	require.Regexp(t, `- name: OIDC_ISSUER_URL\n +value: "https://sso.example.com"\n +- name: OIDC_CLIENT_ID\n +value: "penstock"\n +- name: OIDC_CLIENT_SECRET\n +valueFrom:\n +secretKeyRef:\n +name: sso\n +key: client-secret\n`, text)
	require.Contains(t, text, "name: OIDC_GROUPS_CLAIM")
	_, err = (rendering{set: []string{"server.oidc.issuerUrl=https://sso.example.com", "server.oidc.clientId=penstock"}}).text(t)
	require.ErrorContains(t, err, "the identity provider sends browsers back to the dashboard: set server.ingress, server.url or server.env.DASHBOARD_URL")
}

// environmentOf are the variables of a Deployment that tell where it is reached.
func environmentOf(t *testing.T, deployment *unstructured.Unstructured) map[string]string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	require.NoError(t, err)
	found := map[string]string{}
	for _, variable := range containers[0].(map[string]any)["env"].([]any) {
		one := variable.(map[string]any)
		if name := one["name"].(string); name == "SERVER_URL" || name == "DASHBOARD_BASE_PATH" {
			require.NotContains(t, found, name, "set once")
			found[name] = one["value"].(string)
		}
	}
	return found
}

func TestEveryObjectHasTheLabelsOfItsRelease(t *testing.T) {
	t.Parallel()
	for _, object := range (rendering{set: whole}).objects(t) {
		labels := object.GetLabels()
		require.Equal(t, release, labels["app.kubernetes.io/instance"], identity(object))
		require.Equal(t, "platform", labels["team"], identity(object))
		require.NotEmpty(t, labels["app.kubernetes.io/name"], identity(object))
	}
}

func TestCRDsStayOnlyWhereTheyAreKept(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		set  []string
		kept string
		crds int
	}{
		"they are kept by default":       {nil, "keep", 9},
		"they go with the release":       {[]string{"crds.keep=false"}, "", 9},
		"they are left to somebody else": {[]string{"crds.enabled=false"}, "", 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			crds := 0
			for _, object := range (rendering{set: tc.set}).objects(t) {
				if object.GetKind() == "CustomResourceDefinition" {
					crds++
					require.Equal(t, tc.kept, object.GetAnnotations()["helm.sh/resource-policy"])
				}
			}
			require.Equal(t, tc.crds, crds)
		})
	}
}
