package lookup_test

import (
	"encoding/json"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/test/given"
)

// received returns a copy of the object as the API server sends it, trimmed for the cache.
func received[T client.Object](t *testing.T, object T, into T) T {
	t.Helper()
	object.SetNamespace("shop")
	object.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: "the whole manifest"})
	object.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl"}})
	text, err := json.Marshal(object)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
	trimmed, err := lookup.Trim(into)
	require.NoError(t, err)
	require.Same(t, into, trimmed)
	object.SetAnnotations(nil)
	object.SetManagedFields(nil)
	return into
}

func conditions() []metav1.Condition {
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local))
	return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready", Message: "it is", LastTransitionTime: at}}
}

func fullPipeline() *v1alpha1.CdPipeline {
	pipeline := given.CdPipeline("web", given.WithPre, given.WithPost, given.Filter("artifact.image != ''"))
	pipeline.Labels = map[string]string{"team": "shop"}
	pipeline.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "region", Value: new("north")}}
	pipeline.Status.LastRun = &v1alpha1.LastRun{BuildName: "build-1", Image: "shop/web", Stage: "DEPLOY", Phase: "Running", At: conditions()[0].LastTransitionTime}
	pipeline.Status.Conditions = conditions()
	return pipeline
}

func fullBuild() *v1alpha1.CiBuild {
	build := given.CiBuild("build-1")
	build.Status = v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildSucceeded, Artifacts: given.Artifacts(2), Conditions: conditions()}
	return build
}

func TestTrimTakesNothingButAnnotationsAndManagedFields(t *testing.T) {
	t.Parallel()
	ci := given.CiPipeline(given.CI)
	require.Equal(t, ci, received(t, ci, &v1alpha1.CiPipeline{}))
	build := fullBuild()
	require.Equal(t, build, received(t, build, &v1alpha1.CiBuild{}))
	pipeline := fullPipeline()
	require.Equal(t, pipeline, received(t, pipeline, &v1alpha1.CdPipeline{}))
}

func TestTrimKeepsOneCopyOfWhatIsCommon(t *testing.T) {
	t.Parallel()
	first, second := received(t, fullPipeline(), &v1alpha1.CdPipeline{}), received(t, fullPipeline(), &v1alpha1.CdPipeline{})
	for sentence, text := range map[string]func(*v1alpha1.CdPipeline) string{
		"namespace": func(p *v1alpha1.CdPipeline) string { return p.Namespace },
		"parent":    func(p *v1alpha1.CdPipeline) string { return p.Spec.ParentRef.Name },
		"template":  func(p *v1alpha1.CdPipeline) string { return p.Spec.Deploy.Workflow.TemplateRef.Name },
		"image":     func(p *v1alpha1.CdPipeline) string { return p.Status.LastRun.Image },
		"condition": func(p *v1alpha1.CdPipeline) string { return p.Status.Conditions[0].Message },
	} {
		require.NotEmpty(t, text(first), sentence)
		require.Same(t, unsafe.StringData(text(first)), unsafe.StringData(text(second)), sentence)
	}
	require.NotSame(t, unsafe.StringData(first.Name), unsafe.StringData(second.Name))
	require.Equal(t, len(first.Status.Conditions), cap(first.Status.Conditions))
	kept := &first.Status.Conditions[0]
	_, err := lookup.Trim(first)
	require.NoError(t, err)
	require.Same(t, kept, &first.Status.Conditions[0], "what is trimmed a second time stays where it is")
}

func TestTrimPassesOnWhatIsNoObject(t *testing.T) {
	t.Parallel()
	gone := clientcache.DeletedFinalStateUnknown{Key: "shop/web"}
	trimmed, err := lookup.Trim(gone)
	require.NoError(t, err)
	require.Equal(t, gone, trimmed)
}
