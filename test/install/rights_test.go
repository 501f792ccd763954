package install

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What the chart grants is to be read in one place, and to change only with intent.
func TestTheGrantedRulesAreThoseOfTheGoldenFile(t *testing.T) {
	t.Parallel()
	for name, set := range map[string][]string{"rights.txt": {"webhooks.namespaces={team}", "notifications.namespaces={team}", "baseImages.namespaces={team}"}, "rights-narrow.txt": narrow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Join(grantsWith(t, set...), "\n") + "\n"
			path := filepath.Join("testdata", name)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			golden, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(golden), text, "go test ./test/install -run Golden -update")
		})
	}
}

// grantsOf are the rules of a role and the subjects of a binding, a line each.
func grantsOf(t *testing.T, object *unstructured.Unstructured) (lines []string) {
	t.Helper()
	name := object.GetKind() + " " + strings.TrimPrefix(object.GetNamespace()+"/"+object.GetName(), "/")
	switch object.GetKind() {
	case "Role", "ClusterRole":
		for _, rule := range rulesOf(t, object) {
			for _, resource := range rule.Resources {
				for _, group := range rule.APIGroups {
					lines = append(lines, strings.Join([]string{name + ":", cmp.Or(group, "core"), resource, cmp.Or(strings.Join(rule.ResourceNames, ","), "*"), strings.Join(rule.Verbs, ",")}, " "))
				}
			}
		}
		for label := range object.GetLabels() {
			if strings.Contains(label, "aggregate-to") {
				lines = append(lines, name+": "+label)
			}
		}
	case "RoleBinding", "ClusterRoleBinding":
		var binding rbacv1.RoleBinding
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding))
		for _, subject := range binding.Subjects {
			lines = append(lines, name+": "+binding.RoleRef.Kind+" "+binding.RoleRef.Name+" to "+subject.Kind+" "+strings.TrimPrefix(subject.Namespace+"/"+subject.Name, "/"))
		}
	}
	slices.Sort(lines)
	return lines
}

func rulesOf(t *testing.T, object *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	var role rbacv1.ClusterRole
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
	return role.Rules
}

func TestTheServerActsForOthersOnlyWhereThatIsSwitchedOn(t *testing.T) {
	t.Parallel()
	usual := grantsWith(t)
	for sentence, set := range map[string][]string{
		"for who signs in at an identity provider": {"server.oidc.issuerUrl=https://sso.example.com", "server.oidc.clientId=penstock", "server.url=https://penstock.example.com"},
		"for who has a client certificate":         {"server.requests.enabled=true"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			more := slices.DeleteFunc(grantsWith(t, set...), func(line string) bool { return slices.Contains(usual, line) })
			require.Equal(t, []string{
				"ClusterRole penstock-server-requests: penstock.dev baseimages * cancel,requestforothers,resume",
				"ClusterRole penstock-server-requests: penstock.dev cdpipelines * cancel,requestforothers,resume,retry,rollback,trigger",
				"ClusterRole penstock-server-requests: penstock.dev cibuilds * cancel,requestforothers,retry",
				"ClusterRole penstock-server-requests: penstock.dev runrequests * create,get",
				"ClusterRole penstock-server-requests: penstock.dev targetclusters * cancel,requestforothers,resume",
				"ClusterRoleBinding penstock-server-requests: ClusterRole penstock-server-requests to ServiceAccount penstock-system/penstock-server",
			}, more)
		})
	}
	for _, line := range usual {
		if strings.HasPrefix(line, "ClusterRole penstock-server:") {
			require.NotRegexp(t, "runrequests|requestforothers", line)
		}
	}
}

// grantsWith are all that a release with these values grants.
func grantsWith(t *testing.T, set ...string) (granted []string) {
	t.Helper()
	for _, object := range (rendering{set: append([]string{"crds.enabled=false"}, set...)}).objects(t) {
		granted = append(granted, grantsOf(t, object)...)
	}
	return granted
}

// The end-to-end tests run with the rights of config: the chart grants the same.
func TestTheChartGrantsControllerAndServerWhatConfigDoes(t *testing.T) {
	t.Parallel()
	charted := map[string][]rbacv1.PolicyRule{}
	for _, object := range (rendering{set: []string{"server.requests.enabled=true"}}).objects(t) {
		if kind := object.GetKind(); kind == "Role" || kind == "ClusterRole" {
			charted[identity(object)] = rulesOf(t, object)
		}
	}
	for _, folder := range []string{"rbac", "server", "requests"} {
		for _, object := range objectsIn(t, read(t, filepath.Join(root, "config", folder), "role.yaml")) {
			require.Equal(t, rulesOf(t, object), charted[identity(object)], identity(object))
		}
	}
}

func TestPenstockViewGrantsWhatPenstockReaderDoes(t *testing.T) {
	t.Parallel()
	rules := map[string][]rbacv1.PolicyRule{}
	for _, object := range (rendering{}).objects(t) {
		if object.GetKind() == "ClusterRole" {
			rules[object.GetName()] = rulesOf(t, object)
		}
	}
	require.NotEmpty(t, rules["penstock-view"])
	require.Equal(t, rules["penstock-reader"], rules["penstock-view"])
}
