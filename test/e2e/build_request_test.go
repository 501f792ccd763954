package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// answered waits for what became of a request.
func answered(t *testing.T, w *world.World, name string, phase v1alpha1.RunRequestPhase, message string) {
	t.Helper()
	w.Eventually("request "+name+" is "+string(phase), func(context.Context) bool {
		request := get(t, w, name, &v1alpha1.RunRequest{})
		return request.Status.Phase == phase && strings.Contains(request.Status.Message, message)
	})
}

func TestAPersonCancelsABuildAndBuildsItAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.Declares(given.BuildTemplate("build", builtImage, 5*time.Minute), wfv1.Parameter{Name: "build"}),
		given.CiPipeline("shop", given.Builds("build")), given.CiPipeline("elsewhere"))
	w.Start()
	w.Create(given.CiBuild("shop-1", given.BuildOf("shop"), given.OfRef("main")), given.CiBuild("elsewhere-1", given.BuildOf("elsewhere")))
	w.Eventually("it runs", func(ctx context.Context) bool { return w.Build(ctx, "shop-1").Status.Phase == v1alpha1.BuildRunning })
	w.Create(given.RunRequest("too-early", v1alpha1.ActionRetry, given.OfTarget("CiBuild", "shop-1")))
	answered(t, w, "too-early", v1alpha1.RequestRefused, "CiBuild shop-1 has not ended")
	w.Create(given.RunRequest("stop", v1alpha1.ActionCancel, given.OfTarget("CiBuild", "shop-1")))
	answered(t, w, "stop", v1alpha1.RequestDone, "build shop-1 is cancelled")
	buildIs(t, w, "shop-1", v1alpha1.BuildCancelled, v1alpha1.ReasonCancelled, "cancelled by")
	w.Create(given.RunRequest("stop-again", v1alpha1.ActionCancel, given.OfTarget("CiBuild", "shop-1")),
		given.RunRequest("not-ours", v1alpha1.ActionCancel, given.OfTarget("CiBuild", "elsewhere-1")),
		given.RunRequest("unknown", v1alpha1.ActionRetry, given.OfTarget("CiBuild", "nobody")),
		given.RunRequest("again", v1alpha1.ActionRetry, given.OfTarget("CiBuild", "shop-1")))
	answered(t, w, "stop-again", v1alpha1.RequestRefused, "CiBuild shop-1 ended as Cancelled")
	answered(t, w, "not-ours", v1alpha1.RequestRefused, "CiBuild elsewhere-1 does not run here")
	answered(t, w, "unknown", v1alpha1.RequestRefused, "CiBuild nobody does not exist")
	answered(t, w, "again", v1alpha1.RequestDone, "builds the same again")
	elsewhere := w.Build(t.Context(), "elsewhere-1")
	elsewhere.Status.Phase = v1alpha1.BuildFailed
	require.NoError(t, w.Cluster.Status().Update(t.Context(), elsewhere))
	w.Create(given.RunRequest("not-here", v1alpha1.ActionRetry, given.OfTarget("CiBuild", "elsewhere-1")))
	answered(t, w, "not-here", v1alpha1.RequestRefused, "CiPipeline elsewhere has no spec.workflow: its builds run elsewhere")
	var builds v1alpha1.CiBuildList
	require.NoError(t, w.Cluster.List(t.Context(), &builds))
	require.Len(t, builds.Items, 3)
	w.Eventually("the pipeline names its newest build", func(context.Context) bool {
		last := get(t, w, "shop", &v1alpha1.CiPipeline{}).Status.LastBuild
		return last != nil && strings.HasPrefix(last.Name, "shop-1-") && last.Phase == v1alpha1.BuildRunning
	})
	w.KubectlTells("get cipipeline shop", "Ready", "shop-1-", "Running")
}
