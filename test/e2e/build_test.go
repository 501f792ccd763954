package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

const builtImage = "registry.example.com/shop"

// buildIs waits until a build stands so: phase, reason and a part of the message.
func buildIs(t *testing.T, w *world.World, name string, phase v1alpha1.BuildPhase, reason v1alpha1.Reason, message string) *v1alpha1.CiBuild {
	t.Helper()
	var last *v1alpha1.CiBuild
	w.Eventually(fmt.Sprintf("build %s is %s %s %q", name, phase, reason, message), func(ctx context.Context) bool {
		last = w.Build(ctx, name)
		if last.Status.Phase.IsTerminal() && last.Status.Phase != phase {
			t.Fatalf("build %s ended as %s %s: %s", name, last.Status.Phase, last.Status.Reason, last.Status.Message)
		}
		return last.Status.Phase == phase && last.Status.Reason == string(reason) && strings.Contains(last.Status.Message, message)
	})
	return last
}

func TestABuildRunsInArgoAndWhatItMadeIsDeployed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	value := wfv1.AnyString("none")
	w.Create(given.Declares(given.BuildTemplate("build", builtImage, time.Second), wfv1.Parameter{Name: "build"}, wfv1.Parameter{Name: "ref", Value: &value}),
		given.CiPipeline("shop", given.Builds("build")), given.CdPipeline("shop-staging", given.BelowCi("shop")))
	w.Start()
	w.Create(given.CiBuild("shop-1", given.BuildOf("shop"), given.OfRef("main")))
	done := buildIs(t, w, "shop-1", v1alpha1.BuildSucceeded, "", "")
	require.Len(t, done.Status.Artifacts, 1)
	require.Equal(t, builtImage+":shop-1", done.Status.Artifacts[0].Image)
	require.NotNil(t, done.Status.StartedAt)
	require.NotNil(t, done.Status.FinishedAt)
	w.Eventually("it is deployed", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cd_workflow WHERE pipeline = 'shop-staging' AND outcome = 'Succeeded'`) == 1
	})
	workflow := &wfv1.Workflow{}
	require.NoError(t, w.Cluster.Get(t.Context(), types.NamespacedName{Namespace: w.Namespace, Name: done.Status.WorkflowRef.Name}, workflow))
	passed := map[string]string{}
	for _, parameter := range workflow.Spec.Arguments.Parameters {
		passed[parameter.Name] = parameter.Value.String()
	}
	require.Equal(t, map[string]string{"build": "shop-1", "revision": "main", "ref": "main", "cause": "API"}, passed)
	w.Eventually("our finalizer is gone", func(ctx context.Context) bool {
		return w.Cluster.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: workflow.Name}, workflow) == nil && len(workflow.Finalizers) == 0
	})
	w.Judge()
}

func TestABuildThatDoesNotSucceedSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := given.BuildTemplate("bad-image", "https://registry.example.com/shop", time.Second)
	w.Create(given.WorkflowTemplate("silent", time.Second), given.Declares(bad, wfv1.Parameter{Name: "build"}),
		given.Declares(given.WorkflowTemplate("asks", time.Second), wfv1.Parameter{Name: "colour"}),
		given.CiPipeline("no-outputs", given.Builds("silent")), given.CiPipeline("failing", given.Builds("failing-pod")),
		given.CiPipeline("malformed", given.Builds("bad-image")), given.CiPipeline("lacking", given.Builds("asks")))
	w.Start()
	for _, name := range []string{"no-outputs", "failing", "malformed", "lacking"} {
		w.Create(given.CiBuild(name+"-1", given.BuildOf(name)))
	}
	buildIs(t, w, "no-outputs-1", v1alpha1.BuildError, v1alpha1.ReasonNoArtifacts, "it has none: give the template's outputs these names with globalName")
	buildIs(t, w, "malformed-1", v1alpha1.BuildError, v1alpha1.ReasonNoArtifacts, `"https://registry.example.com/shop:malformed-1" is no image`)
	buildIs(t, w, "lacking-1", v1alpha1.BuildError, v1alpha1.ReasonInvalidParameters, "set it in spec.workflow.parameters of the CiPipeline")
	buildIs(t, w, "failing-1", v1alpha1.BuildFailed, v1alpha1.ReasonWorkflowFailed, "")
	w.KubectlTells("describe cibuild no-outputs-1", "NoArtifacts", "BuildError")
	w.Judge()
}

func TestBuildsOfOneRefTakeTurns(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		policy v1alpha1.ConcurrencyPolicy
		want   map[string]v1alpha1.BuildPhase
	}{
		"by default, of those that wait, only the newest stays": {"", map[string]v1alpha1.BuildPhase{"b-1": "Succeeded", "b-2": "Cancelled", "b-3": "Succeeded"}},
		"Queue runs all":          {v1alpha1.ConcurrencyQueue, map[string]v1alpha1.BuildPhase{"b-1": "Succeeded", "b-2": "Succeeded", "b-3": "Succeeded"}},
		"Replace stops what runs": {v1alpha1.ConcurrencyReplace, map[string]v1alpha1.BuildPhase{"b-1": "Cancelled", "b-2": "Cancelled", "b-3": "Succeeded"}},
		"Allow runs all at once":  {v1alpha1.ConcurrencyAllow, map[string]v1alpha1.BuildPhase{"b-1": "Succeeded", "b-2": "Succeeded", "b-3": "Succeeded"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Create(given.Declares(given.BuildTemplate("build", builtImage, 6*time.Second), wfv1.Parameter{Name: "build"}),
				given.CiPipeline("shop", given.Builds("build"), given.BuildPolicy(test.policy)))
			w.Start()
			w.Create(given.CiBuild("b-1", given.BuildOf("shop"), given.OfRef("main")))
			w.Eventually("the first runs", func(ctx context.Context) bool { return w.Build(ctx, "b-1").Status.Phase == v1alpha1.BuildRunning })
			w.Create(given.CiBuild("b-2", given.BuildOf("shop"), given.OfRef("main")), given.CiBuild("other", given.BuildOf("shop"), given.OfRef("dev")))
			w.Eventually("the second is queued", func(context.Context) bool {
				return w.Count(`SELECT count(*) FROM task WHERE inputs->>'build' = 'b-2'`) == 1
			})
			w.Create(given.CiBuild("b-3", given.BuildOf("shop"), given.OfRef("main")))
			w.Eventually("all have ended", func(ctx context.Context) bool {
				for _, name := range []string{"b-1", "b-2", "b-3", "other"} {
					if !w.Build(ctx, name).Status.Phase.IsTerminal() {
						return false
					}
				}
				return true
			})
			for name, phase := range test.want {
				require.Equal(t, phase, w.Build(t.Context(), name).Status.Phase, name)
			}
			require.Equal(t, v1alpha1.BuildSucceeded, w.Build(t.Context(), "other").Status.Phase, "another ref waits for nobody")
			w.Judge()
		})
	}
}

func TestABuildWaitsForItsTemplateAndForItsPipeline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline("shop", given.Builds("later")))
	w.Start()
	w.Create(given.CiBuild("shop-1", given.BuildOf("shop")))
	buildIs(t, w, "shop-1", v1alpha1.BuildPending, v1alpha1.ReasonTemplate, "WorkflowTemplate later does not exist")
	w.Create(given.Declares(given.BuildTemplate("later", builtImage, time.Second), wfv1.Parameter{Name: "build"}))
	buildIs(t, w, "shop-1", v1alpha1.BuildSucceeded, "", "")
	w.Patch(&v1alpha1.CiPipeline{}, "shop", `{"spec":{"suspend":true}}`)
	w.KubectlTells("describe cipipeline shop", "spec.suspend is true: builds wait") // before, a build may still begin
	w.Create(given.CiBuild("shop-2", given.BuildOf("shop")))
	buildIs(t, w, "shop-2", v1alpha1.BuildPending, v1alpha1.ReasonSuspended, "CiPipeline shop is suspended")
	w.Patch(&v1alpha1.CiPipeline{}, "shop", `{"spec":{"suspend":false}}`)
	buildIs(t, w, "shop-2", v1alpha1.BuildSucceeded, "", "")
	w.Judge()
}

func TestABuildThatIsDeletedIsStoppedAndTheNextHasItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.Declares(given.BuildTemplate("build", builtImage, 5*time.Minute), wfv1.Parameter{Name: "build"}),
		given.CiPipeline("shop", given.Builds("build"), given.BuildPolicy(v1alpha1.ConcurrencyQueue)))
	w.Start()
	w.Create(given.CiBuild("shop-1", given.BuildOf("shop")))
	w.Eventually("it runs", func(ctx context.Context) bool { return w.Build(ctx, "shop-1").Status.Phase == v1alpha1.BuildRunning })
	w.Create(given.CiBuild("shop-2", given.BuildOf("shop")), given.CiBuild("shop-3", given.BuildOf("shop")))
	buildIs(t, w, "shop-2", v1alpha1.BuildPending, v1alpha1.ReasonTurn, "another build without a ref of CiPipeline shop has its turn")
	w.Delete(given.CiBuild("shop-1"), given.CiBuild("shop-3"))
	w.Eventually("the next runs", func(ctx context.Context) bool { return w.Build(ctx, "shop-2").Status.Phase == v1alpha1.BuildRunning })
	w.Delete(given.CiBuild("shop-2"))
	w.Eventually("nothing is under way", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE settled_at IS NULL`) == 0 && len(w.Workflows()) == 0
	})
	w.Judge()
}
