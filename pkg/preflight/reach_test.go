package preflight_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/preflight"
)

func TestARightIsNeededWherePenstockWorks(t *testing.T) {
	t.Parallel()
	lists := preflight.Right{Group: "penstock.dev", Resource: "cdpipelines", Verb: "list"}
	ofCluster := preflight.Right{Group: "penstock.dev", Resource: "targetclusters", Verb: "list"}
	own := preflight.Right{Resource: "secrets", Verb: "get", Own: true}
	tests := map[string]struct {
		reach   preflight.Reach
		right   preflight.Right
		allowed []string // namespaces; empty is all
		want    string
	}{
		"in all namespaces":                   {preflight.Reach{}, lists, []string{""}, ""},
		"in one of all":                       {preflight.Reach{}, lists, []string{"a"}, "Penstock's service account may not list cdpipelines.penstock.dev in all namespaces: grant it, as config/rbac does"},
		"in those that are watched":           {preflight.Reach{Namespaces: []string{"a", "b"}}, lists, []string{"a", "b"}, ""},
		"in one of those":                     {preflight.Reach{Namespaces: []string{"a", "b"}}, lists, []string{"a"}, "Penstock's service account may not list cdpipelines.penstock.dev in namespaces a, b: grant it, as config/rbac does"},
		"of what is in no namespace":          {preflight.Reach{Namespaces: []string{"a"}}, ofCluster, []string{"a"}, "Penstock's service account may not list targetclusters.penstock.dev in all namespaces: grant it, as config/rbac does"},
		"in its own namespace":                {preflight.Reach{Own: "p"}, own, []string{"p"}, ""},
		"in its own namespace, and not there": {preflight.Reach{Own: "p"}, own, []string{"a"}, "Penstock's service account may not get secrets in namespace p: grant it, as config/rbac does"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			denied, err := test.reach.Denied(t.Context(), test.right, func(_ context.Context, _ preflight.Right, namespace string) (bool, error) {
				for _, one := range test.allowed {
					if one == namespace {
						return true, nil
					}
				}
				return false, nil
			})
			require.NoError(t, err)
			require.Equal(t, test.want, denied)
		})
	}
	_, err := preflight.Reach{}.Denied(t.Context(), lists, func(context.Context, preflight.Right, string) (bool, error) { return false, errors.New("away") })
	require.ErrorContains(t, err, "away")
}

func TestRightsInPenstocksNamespaceAreNeededOnlyWhereItIsKnown(t *testing.T) {
	t.Parallel()
	secrets, leases := preflight.Right{Resource: "secrets", Own: true}, preflight.Right{Resource: "leases", Own: true}
	require.False(t, preflight.Reach{}.Needs(secrets))
	require.True(t, preflight.Reach{Own: "p"}.Needs(secrets))
	require.False(t, preflight.Reach{Own: "p"}.Needs(leases))
	require.True(t, preflight.Reach{Own: "p", LeaderElection: true}.Needs(leases))
}
