package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestATargetClusterSaysInExactlyOneWayHowItIsReached(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const exactlyOne = "set exactly one of kubeconfigSecretRef, inCluster: true and virtual: true"
	secret := &v1alpha1.SecretKeyReference{Name: "eu-1", Key: "kubeconfig"}
	for sentence, tc := range map[string]struct {
		spec    v1alpha1.TargetClusterSpec
		refusal string
	}{
		"by a Secret":                    {v1alpha1.TargetClusterSpec{KubeconfigSecretRef: secret}, ""},
		"as the cluster of Penstock":     {v1alpha1.TargetClusterSpec{InCluster: true}, ""},
		"not at all, being virtual":      {v1alpha1.TargetClusterSpec{Virtual: true, Suspend: true}, ""},
		"nothing is refused":             {v1alpha1.TargetClusterSpec{}, exactlyOne},
		"suspend alone is refused":       {v1alpha1.TargetClusterSpec{Suspend: true}, exactlyOne},
		"two ways are refused":           {v1alpha1.TargetClusterSpec{KubeconfigSecretRef: secret, InCluster: true}, exactlyOne},
		"two others are refused":         {v1alpha1.TargetClusterSpec{InCluster: true, Virtual: true}, exactlyOne},
		"a Secret without a name":        {v1alpha1.TargetClusterSpec{KubeconfigSecretRef: &v1alpha1.SecretKeyReference{Key: "a"}}, "spec.kubeconfigSecretRef.name"},
		"a Secret of another namespace":  {v1alpha1.TargetClusterSpec{KubeconfigSecretRef: &v1alpha1.SecretKeyReference{Name: "other/eu-1"}}, "spec.kubeconfigSecretRef.name"},
		"a key that no Secret can have":  {v1alpha1.TargetClusterSpec{KubeconfigSecretRef: &v1alpha1.SecretKeyReference{Name: "a", Key: "../token"}}, "spec.kubeconfigSecretRef.key"},
		"the key defaults to kubeconfig": {v1alpha1.TargetClusterSpec{KubeconfigSecretRef: &v1alpha1.SecretKeyReference{Name: "a"}}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			name := strings.ReplaceAll(strings.ToLower(sentence), " ", "-")
			cluster := given.TargetCluster(strings.ReplaceAll(name, ",", ""), func(c *v1alpha1.TargetCluster) { c.Spec = tc.spec })
			requireAdmission(t, tc.refusal, p.Create(t.Context(), cluster))
			if ref := cluster.Spec.KubeconfigSecretRef; tc.refusal == "" && ref != nil {
				require.Equal(t, "kubeconfig", ref.Key)
			}
		})
	}
}

func TestATableTellsHowAClusterIsDoing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cluster := given.TargetCluster(p.namespace, given.InCluster, given.Labelled("only", p.namespace))
	require.NoError(t, p.Create(t.Context(), cluster))
	require.NoError(t, p.patchStatus(t, cluster, `{"status":{"phase":"Healthy","version":"v1.37.2","latencyMillis":12,"reason":"Healthy"}}`))
	require.Equal(t, "Name | Phase | Version | Latency | Lane open | Since\n"+p.namespace+" | Healthy | v1.37.2 | 12 | - | -",
		clusterTable(t, "only="+p.namespace))
	require.NoError(t, p.patchStatus(t, cluster, `{"status":{"conditions":[{"type":"LaneOpen","status":"False","reason":"ClusterChanged","message":"","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`))
	require.Contains(t, clusterTable(t, "only="+p.namespace), "| 12 | False | -")
}
