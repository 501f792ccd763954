package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/world"
)

func TestWhatKubectlInstallsIsAcceptedByTheAPIServerAndItsPodIsLetIn(t *testing.T) {
	bare, err := env.Start(t.Context(), env.Options{WithoutCRDs: true, ControllerManager: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bare.Stop()) })
	kubectl := func(args ...string) string {
		printed, err := bare.Kubectl(t.Context(), args...)
		require.NoError(t, err)
		return printed
	}
	root := filepath.Join("..", "..", "config")

	printed := kubectl("apply", "-k", filepath.Join(root, "default"))
	for _, object := range []string{
		"customresourcedefinition.apiextensions.k8s.io/cibuilds.penstock.dev created",
		"customresourcedefinition.apiextensions.k8s.io/notificationchannels.penstock.dev created",
		"customresourcedefinition.apiextensions.k8s.io/notificationpolicies.penstock.dev created",
		"customresourcedefinition.apiextensions.k8s.io/baseimages.penstock.dev created",
		"customresourcedefinition.apiextensions.k8s.io/receivers.penstock.dev created",
		"clusterrole.rbac.authorization.k8s.io/penstock-notifications created",
		"clusterrole.rbac.authorization.k8s.io/penstock-base-images created",
		"clusterrole.rbac.authorization.k8s.io/penstock created", "role.rbac.authorization.k8s.io/penstock created",
		"serviceaccount/penstock created", "deployment.apps/penstock created",
	} {
		require.Contains(t, printed, object)
	}
	require.NotContains(t, kubectl("apply", "-k", filepath.Join(root, "default")), "configured", "a second apply changes nothing")
	kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")

	// The namespace enforces the restricted pod security standard.
	require.Eventually(t, func() bool {
		pods, err := bare.Kubectl(t.Context(), "-n", env.ControllerNamespace, "get", "pods", "-o", "name")
		return err == nil && strings.HasPrefix(pods, "pod/penstock-")
	}, world.Patience, 100*time.Millisecond)
}
