package remote

import (
	"net/http"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/target"
)

func TestANamespaceWithoutRightsCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	there := target.New(t)
	list := func(namespace string, answer http.HandlerFunc) {
		there.Handle("/apis/argoproj.io/v1alpha1/namespaces/"+namespace+"/workflows", answer)
	}
	list("shop", target.JSON(map[string]any{"kind": "WorkflowList"}))
	list("closed", target.Status(http.StatusForbidden))
	config, err := fleet.Parse(there.Kubeconfig(t))
	require.NoError(t, err)
	reached, err := fleet.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(reached.Close)

	k := newKeeper(&Sites{Config: Config{Log: logr.Discard()}}, "eu")
	permitted, err := k.permitted(t.Context(), reached, []string{"closed", "shop"})
	require.NoError(t, err)
	require.Equal(t, []string{"shop"}, permitted)
	there.Reset()
	_, err = k.permitted(t.Context(), reached, []string{"closed", "shop"})
	require.NoError(t, err)
	require.Empty(t, there.Requests(), "both are known for a while")

	list("shop", target.Status(http.StatusForbidden))
	list("closed", target.JSON(map[string]any{"kind": "WorkflowList"}))
	permitted, err = k.permittedAnew(t.Context(), reached, []string{"closed", "shop"})
	require.NoError(t, err)
	require.Equal(t, []string{"closed"}, permitted, "a right that is lost would keep the watch of all from beginning")

	list("broken", target.Status(http.StatusInternalServerError))
	_, err = k.permitted(t.Context(), reached, []string{"broken", "shop"})
	require.Error(t, err, "what fails is no missing right")
}
