package argo

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// seenWorkflow is that of the task with the identity abc, in a phase; a Workflow that
// Argo has not seen yet has none.
func seenWorkflow(phase string) *metav1.PartialObjectMetadata {
	object := Workflow()
	object.Namespace, object.Name, object.UID = given.Namespace, "web-deploy-1", given.UID("web-deploy-1")
	object.Labels = map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelTask: "7",
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

func TestWhatAWorkflowMeansForItsTask(t *testing.T) {
	t.Parallel()
	seen := func(status store.Status) store.Observation {
		return store.Observation{
			Namespace: given.Namespace, WorkflowName: "web-deploy-1", WorkflowUID: string(given.UID("web-deploy-1")), Identity: "abc", Status: status,
		}
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
			require.Equal(t, tc.want, Observe(seenWorkflow(tc.phase), tc.deleted))
			if tc.deleted { // and no otherwise while a finalizer still holds it
				going := seenWorkflow(tc.phase)
				going.DeletionTimestamp = ptr.To(metav1.Now())
				require.Equal(t, tc.want, Observe(going, false))
			}
		})
	}
}

func TestTheIdOfATaskInALabelMeansNothing(t *testing.T) {
	t.Parallel()
	want := Observe(seenWorkflow("Running"), false)
	for sentence, id := range map[string]string{"no id": "", "no number": "seven", "another task's": "8"} {
		object := seenWorkflow("Running")
		object.Labels[v1alpha1.LabelTask] = id
		require.Equal(t, want, Observe(object, false), sentence)
	}
}

func TestAWorkflowWithoutAnIdentityNamesNone(t *testing.T) {
	t.Parallel()
	require.Empty(t, Observe(Workflow(), true).Identity)
}

func TestATaskWhoseWorkflowDoesNotExistIsToldByItsId(t *testing.T) {
	t.Parallel()
	task := store.Active{ID: 7, Namespace: given.Namespace, WorkflowName: "web-deploy-1"}
	require.Equal(t, store.Observation{
		Gone: 7, Namespace: given.Namespace, WorkflowName: "web-deploy-1", Reason: v1alpha1.ReasonEndUnknown,
		Message: "Workflow web-deploy-1 is gone, and its end is not in the database: the database was restored, or somebody took the finalizer off; " +
			"look at what it has done, and create a RunRequest with action Trigger or Retry where that is to be done again",
	}, Gone(task))
}

func TestOnlyWorkflowsOfOursThatArgoHasNotCompletedAreUnfinished(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		labels labels.Set
		want   bool
	}{
		"one that Argo has not seen is":   {labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}, true},
		"one that runs is":                {labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, completedLabel: "false"}, true},
		"one that is completed is not":    {labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, completedLabel: "true"}, false},
		"one of somebody else is not":     {labels.Set{v1alpha1.LabelManagedBy: "helm"}, false},
		"one without any label is not":    {nil, false},
		"one that is completed elsewhere": {labels.Set{completedLabel: "true"}, false},
	} {
		require.Equal(t, tc.want, Unfinished().Matches(tc.labels), sentence)
	}
}
