package track

import (
	"fmt"
	"strconv"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/intern"
	"github.com/penstock-cd/penstock/pkg/store"
)

// phaseLabel is where Argo's controller keeps a Workflow's phase
// (argo-workflows, workflow/common/common.go: LabelKeyPhase).
const phaseLabel = "workflows.argoproj.io/phase"

// completedLabel is "true" from the end of a Workflow on (the same, LabelKeyCompleted).
const completedLabel = "workflows.argoproj.io/completed"

// Workflow returns an empty Workflow of which only the metadata is known.
func Workflow() *metav1.PartialObjectMetadata {
	workflow := &metav1.PartialObjectMetadata{}
	workflow.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("Workflow"))
	return workflow
}

// Workflows returns an empty list of Workflows of which only the metadata is known.
func Workflows() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("WorkflowList"))
	return list
}

// Unfinished selects those of our Workflows that Argo has not completed.
func Unfinished() labels.Selector {
	ours, err := labels.NewRequirement(v1alpha1.LabelManagedBy, selection.Equals, []string{v1alpha1.ManagedBy})
	utilruntime.Must(err)
	unfinished, err := labels.NewRequirement(completedLabel, selection.NotEquals, []string{"true"})
	utilruntime.Must(err)
	return labels.NewSelector().Add(*ours, *unfinished)
}

// Trim keeps of a Workflow only what tracking and releasing read, so that finished
// ones cost little memory.
func Trim(object any) (any, error) {
	workflow, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	labels := workflow.Labels
	intern.Fields(&workflow.Kind, &workflow.APIVersion, &workflow.Namespace)
	for i := range workflow.Finalizers {
		intern.Fields(&workflow.Finalizers[i])
	}
	workflow.Annotations, workflow.ManagedFields = nil, nil
	workflow.OwnerReferences, workflow.GenerateName = ownerOf(workflow), ""
	workflow.Labels = map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
		v1alpha1.LabelRunner:    labels[v1alpha1.LabelRunner],
		phaseLabel:              intern.Text(labels[phaseLabel]),
	}
	return workflow, nil
}

// ownerOf returns the owner that is the controller, its UID alone.
func ownerOf(workflow metav1.Object) []metav1.OwnerReference {
	owner := metav1.GetControllerOfNoCopy(workflow)
	if owner == nil {
		return nil
	}
	return []metav1.OwnerReference{{UID: owner.UID, Controller: owner.Controller}}
}

// observationOf says what a Workflow means for its row, whose id is 0 where it names
// none. One that is deleted, or about to be, and had not ended will never end
// otherwise.
func observationOf(workflow client.Object, deleted bool) store.Observation {
	id, err := strconv.ParseInt(workflow.GetLabels()[v1alpha1.LabelRunner], 10, 64)
	if err != nil {
		id = 0
	}
	name, status := workflow.GetName(), statusOf(wfv1.WorkflowPhase(workflow.GetLabels()[phaseLabel]))
	observation := store.Observation{ID: id, Namespace: workflow.GetNamespace(), WorkflowName: name, Status: status}
	if owner := metav1.GetControllerOfNoCopy(workflow); owner != nil {
		observation.Owner = string(owner.UID)
	}
	switch {
	case status == store.StatusFailed || status == store.StatusError:
		observation.Reason = v1alpha1.ReasonWorkflowFailed
		observation.Message = fmt.Sprintf("Workflow %s ended as %s: kubectl -n %s describe workflow %s tells more", name, status, observation.Namespace, name)
	case hasEnded(status):
	case deleted || workflow.GetDeletionTimestamp() != nil:
		observation.Status, observation.Reason = store.StatusError, v1alpha1.ReasonWorkflowDeleted
		observation.Message = fmt.Sprintf("Workflow %s was deleted before it ended", name)
	}
	return observation
}

func hasEnded(status store.Status) bool {
	return status == store.StatusSucceeded || status == store.StatusFailed || status == store.StatusError
}

func gone(row store.Active) store.Observation {
	return store.Observation{
		ID: row.ID, Namespace: row.Namespace, WorkflowName: row.WorkflowName, Owner: row.PipelineUid, Gone: true, Reason: v1alpha1.ReasonWorkflowDeleted,
		Message: fmt.Sprintf("Workflow %s was deleted before its end was seen", row.WorkflowName),
	}
}

// statusOf is the row's state while its Workflow is in a phase.
func statusOf(phase wfv1.WorkflowPhase) store.Status {
	switch phase {
	case wfv1.WorkflowRunning:
		return store.StatusRunning
	case wfv1.WorkflowSucceeded:
		return store.StatusSucceeded
	case wfv1.WorkflowFailed:
		return store.StatusFailed
	case wfv1.WorkflowError:
		return store.StatusError
	default:
		return store.StatusSubmitted
	}
}

// sameState is false where a change of the Workflow may mean something for its row.
func sameState(before, after any) bool {
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	return isOld && isCurrent && old.GetLabels()[phaseLabel] == current.GetLabels()[phaseLabel] &&
		old.GetUID() == current.GetUID() && (old.GetDeletionTimestamp() == nil) == (current.GetDeletionTimestamp() == nil)
}
