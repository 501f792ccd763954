package browser

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAnOpenPageFollowsWhatHappens(t *testing.T) {
	s := theStage(t)
	b := s.open(t).signIn(s.reader)
	require.NoError(t, s.cluster.Create(t.Context(), ofShop(given.CiPipeline("live-ci"), "live")))
	pipeline := given.CdPipeline("live-dev", given.BelowCi("live-ci"), given.Runs("quick"))
	pipeline.Spec.Application = "live"
	require.NoError(t, s.cluster.Create(t.Context(), ofShop(pipeline, "live")))
	build := given.CiBuild("live-1", given.BuildOf("live-ci"))
	require.NoError(t, s.cluster.Create(t.Context(), ofShop(build, "live")))

	page := func() string { b.visit("/builds/shop/live-1"); return b.text() }
	require.Eventually(t, func() bool { return !contains(page(), "There is nothing here") }, patience, 200*time.Millisecond)
	b.sees("Nothing is decided yet").sees("Live")
	eval[string](b, `window.kept = "this page"`)
	b.mu.Lock()
	b.complaint = nil // of the pages before
	b.mu.Unlock()

	require.NoError(t, s.succeed(t.Context(), shopNamespace, "live-1"))
	b.sees("the parent succeeded").sees("Succeeded")
	require.Equal(t, "this page", eval[string](b, "window.kept"), "the page was not loaded again")
	b.quiet()
}

func TestAnOpenPageOutlivesTheServer(t *testing.T) {
	s := theStage(t)
	other, err := local.StartServer(t.Context(), serverOptions("other"))
	require.NoError(t, err)
	moved := *s
	moved.server = other
	b := moved.open(t).signIn(s.reader).visit("/apps/shop/shop").sees("Live")
	require.NoError(t, other.Kill())
	b.sees("Out of date").screenshot("stale-light")
	require.Contains(t, b.text(), "shop-prod", "what was known stays")
}

// ofShop puts an object into the namespace of the shop.
func ofShop[T client.Object](object T, application string) T {
	object.SetNamespace(shopNamespace)
	object.SetUID("")
	object.SetLabels(map[string]string{"application": application})
	object.SetCreationTimestamp(metav1.Time{})
	if pipeline, is := any(object).(*v1alpha1.CiPipeline); is {
		pipeline.Spec.Application = application
	}
	return object
}
