package cluster

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/fleet"
)

func TestTheManifestForTargetsGrantsReadingTheShownKindsAndNothingElse(t *testing.T) {
	t.Parallel()
	settings, _, err := config.Load(map[string]string{"DATABASE_URL": "postgres://penstock@127.0.0.1:1/penstock"})
	require.NoError(t, err)
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
	shown := slices.Sorted(slices.Values(settings.ResourceKinds))
	require.Equal(t, shown, granted)
	require.NotContains(t, granted, "secrets")
}
