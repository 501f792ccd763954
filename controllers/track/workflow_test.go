package track

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// workflow is that of row 7, in a phase; a Workflow that Argo has not seen yet has
// none.
func workflow(phase string) *metav1.PartialObjectMetadata {
	object := Workflow()
	object.Namespace, object.Name, object.UID = given.Namespace, "web-deploy-1", given.UID("web-deploy-1")
	object.Labels = map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelRunner: "7",
		v1alpha1.LabelIdentity: "abc", v1alpha1.LabelStage: "deploy",
	}
	object.OwnerReferences = []metav1.OwnerReference{
		{Kind: "ConfigMap", Name: "another", UID: "another"},
		{Kind: "CdPipeline", Name: "web", UID: "web-uid", Controller: ptr.To(true)},
	}
	if phase != "" {
		object.Labels["workflows.argoproj.io/phase"] = phase
	}
	return object
}

func TestWhatAWorkflowMeansForItsRow(t *testing.T) {
	t.Parallel()
	seen := func(status store.Status) store.Observation {
		return store.Observation{ID: 7, Namespace: given.Namespace, WorkflowName: "web-deploy-1", Owner: "web-uid", Status: status}
	}
	badly := func(status store.Status) store.Observation {
		observation := seen(status)
		observation.Reason = v1alpha1.ReasonWorkflowFailed
		observation.Message = "Workflow web-deploy-1 ended as " + string(status) + ": kubectl -n default describe workflow web-deploy-1 tells more"
		return observation
	}
	unended := seen(store.StatusError)
	unended.Reason = v1alpha1.ReasonWorkflowDeleted
	unended.Message = "Workflow web-deploy-1 was deleted before it ended"
	for sentence, tc := range map[string]struct {
		phase   string
		deleted bool
		want    store.Observation
	}{
		"one that Argo has not seen is Submitted":       {"", false, seen(store.StatusSubmitted)},
		"Pending is Submitted":                          {"Pending", false, seen(store.StatusSubmitted)},
		"a phase of a later Argo is Submitted":          {"Hibernating", false, seen(store.StatusSubmitted)},
		"Running is Running":                            {"Running", false, seen(store.StatusRunning)},
		"Succeeded is Succeeded":                        {"Succeeded", false, seen(store.StatusSucceeded)},
		"Failed is Failed, and says where to look":      {"Failed", false, badly(store.StatusFailed)},
		"Error is Error, and says where to look":        {"Error", false, badly(store.StatusError)},
		"one deleted before Argo saw it never ends":     {"", true, unended},
		"one deleted while it ran never ends":           {"Running", true, unended},
		"one deleted after it succeeded has succeeded":  {"Succeeded", true, seen(store.StatusSucceeded)},
		"one deleted after it failed has failed":        {"Failed", true, badly(store.StatusFailed)},
		"one deleted after an error ended as Error too": {"Error", true, badly(store.StatusError)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, observationOf(workflow(tc.phase), tc.deleted))
			if tc.deleted { // and no otherwise while a finalizer still holds it
				going := workflow(tc.phase)
				going.DeletionTimestamp = ptr.To(metav1.Now())
				require.Equal(t, tc.want, observationOf(going, false))
			}
		})
	}
}

func TestAWorkflowWithoutARowMeansNothing(t *testing.T) {
	t.Parallel()
	for sentence, runner := range map[string]string{
		"no row": "", "a row that is no number": "seven", "a row beyond all numbers": "99999999999999999999",
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			object := workflow("Running")
			object.Labels[v1alpha1.LabelRunner] = runner
			require.Zero(t, observationOf(object, false).ID)
		})
	}
	require.Zero(t, observationOf(Workflow(), true).ID, "no labels at all")
}

func TestTrimKeepsWhatIsReadAndNoMore(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"", "Running", "Succeeded", "Failed"} {
		for _, deleted := range []bool{false, true} {
			before := workflow(phase)
			before.ResourceVersion, before.Generation = "12", 3
			before.Annotations = map[string]string{"large": "text"}
			before.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "argo"}}
			before.Finalizers = []string{"argo"}
			before.GenerateName = "web-"
			want := observationOf(before.DeepCopy(), deleted)

			trimmed, err := Trim(before.DeepCopy())
			require.NoError(t, err)
			after := trimmed.(*metav1.PartialObjectMetadata)
			require.Equal(t, want, observationOf(after, deleted))
			require.True(t, sameState(before, after))
			require.Equal(t, before.ResourceVersion, after.ResourceVersion)
			require.Equal(t, before.GroupVersionKind(), after.GroupVersionKind())
			require.Equal(t, v1alpha1.ManagedBy, after.Labels[v1alpha1.LabelManagedBy])
			require.Len(t, after.Labels, 3)
			require.Empty(t, after.Annotations)
			require.Empty(t, after.ManagedFields)
			require.Len(t, after.OwnerReferences, 1)
			require.Equal(t, before.Finalizers, after.Finalizers)
			require.Empty(t, after.GenerateName)
		}
	}
}

func TestTrimLeavesOtherObjectsAlone(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": "b"}}}
	trimmed, err := Trim(pod)
	require.NoError(t, err)
	require.Same(t, pod, trimmed)
}
