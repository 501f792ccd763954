package enroll

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryTextHasOneValidName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"eu-1": "eu-1", "EU_1": "eu-1", "gke_shop_europe-west1_prod": "gke-shop-europe-west1-prod",
		"arn:aws:eks:eu-west-1:123456789012:cluster/prod": "arn-aws-eks-eu-west-1-123456789012-cluster-prod",
		"https://api.example.org:6443":                    "https-api.example.org-6443", "kubernetes-admin@kubernetes": "kubernetes-admin-kubernetes",
		"..a..b..": "a.b", "-a-": "a", "a.-b": "a.b", "größe": "gr-e", "a/../b": "a.b",
	} {
		got, err := NameOf(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
		require.True(t, IsName(got))
	}
	for _, text := range []string{"", "___", "日本", "..."} {
		_, err := NameOf(text)
		require.ErrorContains(t, err, "has no letter and no digit", text)
	}
}

func TestLongTextsKeepDifferentNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 150)
	one, err := NameOf(long + "one")
	require.NoError(t, err)
	two, err := NameOf(long + "two")
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	require.True(t, IsName(one), one)
}

func FuzzNameOf(f *testing.F) {
	f.Add("gke_p_z_c")
	f.Add(strings.Repeat("a.", 200))
	f.Fuzz(func(t *testing.T, text string) {
		name, err := NameOf(text)
		if err != nil {
			require.Empty(t, name)
			return
		}
		require.True(t, IsName(name), name)
		again, err := NameOf(name)
		require.NoError(t, err)
		require.Equal(t, name, again, "a valid name stays")
	})
}
