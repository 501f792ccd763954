package track

import (
	"fmt"
	"strconv"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// phaseLabel is where Argo's controller keeps a Workflow's phase
// (argo-workflows, workflow/common/common.go: LabelKeyPhase).
const phaseLabel = "workflows.argoproj.io/phase"

// Workflow returns an empty Workflow of which only the metadata is known.
func Workflow() *metav1.PartialObjectMetadata {
	workflow := &metav1.PartialObjectMetadata{}
	workflow.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("Workflow"))
	return workflow
}

// Trim keeps of a Workflow only what tracking reads, so that finished ones cost
// little memory.
func Trim(object any) (any, error) {
	workflow, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	labels := workflow.Labels
	workflow.Annotations, workflow.ManagedFields, workflow.Finalizers = nil, nil, nil
	workflow.OwnerReferences, workflow.GenerateName = nil, ""
	workflow.Labels = map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
		v1alpha1.LabelRunner:    labels[v1alpha1.LabelRunner],
		phaseLabel:              labels[phaseLabel],
	}
	return workflow, nil
}

// observationOf says what a Workflow means for its row; false where it has none.
func observationOf(workflow client.Object, deleted bool) (store.Observation, bool) {
	id, err := strconv.ParseInt(workflow.GetLabels()[v1alpha1.LabelRunner], 10, 64)
	if err != nil {
		return store.Observation{}, false
	}
	status := statusOf(wfv1.WorkflowPhase(workflow.GetLabels()[phaseLabel]))
	if deleted && (status == store.StatusSubmitted || status == store.StatusRunning) {
		return gone(id, workflow.GetName()), true
	}
	observation := store.Observation{ID: id, WorkflowName: workflow.GetName(), Status: status}
	if status == store.StatusFailed || status == store.StatusError {
		observation.Reason = v1alpha1.ReasonWorkflowFailed
		observation.Message = fmt.Sprintf("Workflow %s ended as %s: kubectl describe workflow %s tells more", workflow.GetName(), status, workflow.GetName())
	}
	return observation, true
}

func gone(id int64, name string) store.Observation {
	return store.Observation{
		ID: id, WorkflowName: name, Gone: true, Reason: v1alpha1.ReasonWorkflowDeleted,
		Message: fmt.Sprintf("Workflow %s was deleted before its end was seen", name),
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

func samePhase(before, after any) bool {
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	return isOld && isCurrent && old.GetLabels()[phaseLabel] == current.GetLabels()[phaseLabel] &&
		old.GetUID() == current.GetUID()
}
