package clusters

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/batchget"
	"github.com/penstock-cd/penstock/pkg/fleet/resources"
	"github.com/penstock-cd/penstock/test/target"
)

const (
	patience = 20 * time.Second
	look     = 10 * time.Millisecond
)

// start follows the TargetClusters of an API server in miniature.
func start(t *testing.T, home *target.Server) *Clusters {
	t.Helper()
	config, err := fleet.Parse(home.Kubeconfig(t))
	require.NoError(t, err)
	config.UserAgent = "penstock-server/test"
	kinds, err := fleet.ParseKinds([]string{"pods"})
	require.NoError(t, err)
	c := New(Config{Home: config, Namespace: "penstock-system", Kinds: kinds, BatchSize: 5, Retry: look, Log: logr.Discard()})
	t.Cleanup(c.Start(t.Context()))
	return c
}

func TestThereAreNoClustersWhereTheKindIsNotInstalled(t *testing.T) {
	t.Parallel()
	home := target.New(t)
	home.Handle("/api", target.JSON(metav1.APIVersions{Versions: []string{"v1"}}))
	home.Handle("/apis", target.JSON(metav1.APIGroupList{}))
	c := start(t, home)
	require.Eventually(t, func() bool {
		all, err := c.All(t.Context(), labels.Everything())
		return err == nil && len(all) == 0
	}, patience, look)

	answer, err := c.Resources.List(t.Context(), resources.Query{Kinds: c.Kinds})
	require.NoError(t, err)
	require.True(t, answer.Complete)
	require.Empty(t, answer.Clusters)
	answers, err := c.Objects.Get(t.Context(), []batchget.Reference{{Target: fleet.Target{Name: "eu", UID: "eu"}, Kind: c.Kinds[0], Namespace: "shop", Name: "web"}})
	require.NoError(t, err)
	require.Equal(t, batchget.NotFound, answers[0].Err.Reason)
}

func TestClustersAreNotKnownWhileTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	home := target.New(t)
	home.Instead(target.Status(http.StatusServiceUnavailable))
	c := start(t, home)
	require.Eventually(t, func() bool { return len(home.Requests()) > 1 }, patience, look, "it tries again")
	_, err := c.All(t.Context(), labels.Everything())
	require.ErrorIs(t, err, ErrNotReady)
	_, err = c.Client(t.Context(), "eu")
	require.ErrorIs(t, err, ErrNotReady)
}

func TestAnAPIServerThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	home := target.New(t)
	home.Instead(home.Hang)
	c := start(t, home)
	require.Eventually(t, func() bool { return len(home.Requests()) > 0 }, patience, look)
	_, err := c.All(t.Context(), labels.Everything())
	require.ErrorIs(t, err, ErrNotReady)
	began := time.Now()
	c.Start(t.Context())()
	require.Less(t, time.Since(began), 2*requestTimeout, "it ends though a request hangs")
}
