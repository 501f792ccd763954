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
			var granted []string
			for _, object := range (rendering{set: append([]string{"crds.enabled=false"}, set...)}).objects(t) {
				granted = append(granted, grantsOf(t, object)...)
			}
			text := strings.Join(granted, "\n") + "\n"
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

// The end-to-end tests run with the rights of config: the chart grants the same.
func TestTheChartGrantsControllerAndServerWhatConfigDoes(t *testing.T) {
	t.Parallel()
	charted := map[string][]rbacv1.PolicyRule{}
	for _, object := range (rendering{}).objects(t) {
		if kind := object.GetKind(); kind == "Role" || kind == "ClusterRole" {
			charted[identity(object)] = rulesOf(t, object)
		}
	}
	for _, folder := range []string{"rbac", "server"} {
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
