package preflight_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/penstock-cd/penstock/pkg/preflight"
)

func TestTheRightsAreThoseThatAreGranted(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, granted(t), preflight.Rights(), "add a right that is new in config/rbac to preflight.Rights")
}

// granted are the rights of config/rbac.
func granted(t *testing.T) (rights []preflight.Right) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "role.yaml"))
	require.NoError(t, err)
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)); ; {
		var role rbacv1.ClusterRole
		err := decoder.Decode(&role)
		if errors.Is(err, io.EOF) {
			return rights
		}
		require.NoError(t, err)
		for _, rule := range role.Rules {
			rights = append(rights, rightsOf(rule, role.Kind == "Role")...)
		}
	}
}

func rightsOf(rule rbacv1.PolicyRule, own bool) (rights []preflight.Right) {
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				right := preflight.Right{Group: group, Resource: resource, Verb: verb, Own: own}
				if len(rule.ResourceNames) == 1 {
					right.Name = rule.ResourceNames[0]
				}
				rights = append(rights, right)
			}
		}
	}
	return rights
}
