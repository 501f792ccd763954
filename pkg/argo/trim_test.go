package argo

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func TestTrimKeepsWhatIsReadAndNoMore(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"", "Running", "Succeeded", "Failed"} {
		for _, deleted := range []bool{false, true} {
			before := seenWorkflow(phase)
			before.ResourceVersion, before.Generation = "12", 3
			before.Annotations = map[string]string{"large": "text"}
			before.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "argo"}}
			before.Finalizers = []string{"argo"}
			before.GenerateName = "web-"
			want := Observe(before.DeepCopy(), deleted)

			trimmed, err := Trim(before.DeepCopy())
			require.NoError(t, err)
			after := trimmed.(*metav1.PartialObjectMetadata)
			require.Equal(t, want, Observe(after, deleted))
			require.Equal(t, phase, Phase(after))
			require.Equal(t, before.UID, after.UID)
			require.Equal(t, before.ResourceVersion, after.ResourceVersion)
			require.Equal(t, before.GroupVersionKind(), after.GroupVersionKind())
			require.Equal(t, v1alpha1.ManagedBy, after.Labels[v1alpha1.LabelManagedBy])
			require.Equal(t, "abc", Identity(after))
			require.Len(t, after.Labels, 3)
			require.Empty(t, after.Annotations)
			require.Empty(t, after.ManagedFields)
			require.Empty(t, after.OwnerReferences)
			require.Equal(t, before.Finalizers, after.Finalizers)
		}
	}
}

// The cache trims what it lists twice, and what the second one replaced would be garbage between
// what lives.
func TestTrimReplacesNothingThatIsTrimmed(t *testing.T) {
	t.Parallel()
	trimmed, err := Trim(seenWorkflow("Running"))
	require.NoError(t, err)
	labels := trimmed.(*metav1.PartialObjectMetadata).Labels
	trimmed, err = Trim(trimmed)
	require.NoError(t, err)
	require.Equal(t, reflect.ValueOf(labels).Pointer(), reflect.ValueOf(trimmed.(*metav1.PartialObjectMetadata).Labels).Pointer())
}

func TestTrimLeavesOtherObjectsAlone(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": "b"}}}
	trimmed, err := Trim(pod)
	require.NoError(t, err)
	require.Same(t, pod, trimmed)
}
