package sweep

import (
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// lost is the identity of a Workflow of which nothing is in the database.
func lost() trigger.Identity {
	return trigger.Identity{
		BuildUID: string(given.UID("b1")), PipelineUID: string(given.UID("web")), Image: given.Artifact(0).Image, Digest: given.Artifact(0).Digest,
		Run: 2, Stage: trigger.StagePre, Attempt: 3,
	}
}

// ours is its Workflow.
func ours(identity trigger.Identity) *metav1.PartialObjectMetadata {
	workflow := argo.Workflow()
	workflow.Namespace, workflow.Name, workflow.UID = given.Namespace, trigger.WorkflowName("web", identity), "uid"
	workflow.Labels = map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelIdentity: identity.Hash(), v1alpha1.LabelStage: "pre",
		"workflows.argoproj.io/phase": "Running",
	}
	workflow.Annotations = map[string]string{
		v1alpha1.AnnotationPipeline: "web", v1alpha1.AnnotationBuild: "b1", v1alpha1.AnnotationImage: given.Artifact(0).Image + "@" + given.Artifact(0).Digest,
	}
	return workflow
}

func TestAWorkflowOfOursWithoutATaskIsAdoptedWhileItGoesOn(t *testing.T) {
	t.Parallel()
	all := lost()
	all.Image, all.Digest, all.Attempt = "", "", 1
	for sentence, tc := range map[string]struct {
		identity trigger.Identity
		change   func(*metav1.PartialObjectMetadata)
		without  string // object that is gone
		known    bool
		adopted  bool
		told     bool
	}{
		"one of an artifact":                         {lost(), nil, "", false, true, true},
		"one of a run that was given all artifacts":  {all, nil, "", false, true, true},
		"one whose run is there after all":           {lost(), nil, "", true, true, false},
		"one that has ended is left alone":           {lost(), func(w *metav1.PartialObjectMetadata) { w.Labels["workflows.argoproj.io/phase"] = "Succeeded" }, "", false, false, false},
		"a copy under another name is left alone":    {lost(), func(w *metav1.PartialObjectMetadata) { w.Name = "web-pre-again" }, "", false, false, false},
		"a copy that tells of another build is none": {lost(), func(w *metav1.PartialObjectMetadata) { w.Annotations[v1alpha1.AnnotationBuild] = "b2" }, "", false, false, false},
		"one that tells of another image is none":    {lost(), func(w *metav1.PartialObjectMetadata) { w.Annotations[v1alpha1.AnnotationImage] = "x" }, "", false, false, false},
		"one without annotations is none":            {lost(), func(w *metav1.PartialObjectMetadata) { w.Annotations = nil }, "", false, false, false},
		"one whose pipeline is gone is not followed": {lost(), nil, "web", false, false, false},
		"one whose build is gone is not followed":    {lost(), nil, "b1", false, false, false},
		"one of another stage than its name is none": {lost(), func(w *metav1.PartialObjectMetadata) { w.Labels[v1alpha1.LabelStage] = "post" }, "", false, false, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			workflow := ours(tc.identity)
			if tc.change != nil {
				tc.change(workflow)
			}
			scheme := runtime.NewScheme()
			require.NoError(t, v1alpha1.AddToScheme(scheme))
			require.NoError(t, metav1.AddMetaToScheme(scheme))
			builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(workflow.DeepCopy())
			b2 := given.CiBuild("b2")
			b2.UID = given.UID("b2")
			b1 := given.CiBuild("b1")
			b1.UID = given.UID("b1")
			for _, object := range []client.Object{given.CdPipeline("web", given.WithPre), b1, b2} {
				if object.GetName() != tc.without {
					builder.WithObjects(object)
				}
			}
			recorder := events.NewFakeRecorder(1)
			rows := &table{known: tc.known}
			cluster := builder.Build()
			s := New(Config{Cache: cluster, Live: cluster, Rows: rows, Tracker: rows, Events: recorder, Log: logr.Discard()})
			name := client.ObjectKeyFromObject(workflow)
			require.NoError(t, s.adoptUnknown(t.Context(), []types.NamespacedName{name}, map[types.NamespacedName]*metav1.PartialObjectMetadata{name: workflow}))
			require.Equal(t, tc.told, len(rows.told) == 1, "the tracker follows it")
			require.Equal(t, tc.told, len(recorder.Events) == 1)
			if !tc.adopted {
				require.Empty(t, rows.adopted)
				return
			}
			require.Equal(t, []store.Adoption{{Build: rows.adopted[0].Build, Pipeline: rows.adopted[0].Pipeline, Artifact: given.Artifact(0), Identity: tc.identity}}, rows.adopted)
			require.Equal(t, "b1", rows.adopted[0].Build.Name)
			require.Equal(t, "web", rows.adopted[0].Pipeline.Name)
		})
	}
}
