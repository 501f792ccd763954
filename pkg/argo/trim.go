package argo

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/intern"
)

// trimmedMark is among the labels of a Workflow that Trim has made smaller. The API server
// accepts no label without a name, so that nobody else can write it.
const trimmedMark = ""

// Trim keeps of a Workflow only what tracking and releasing read, so that finished
// ones cost little memory. A map of labels of its own costs more than all that is in it, so
// that most Workflows share one, and Identity reads what is kept in generateName instead.
func Trim(object any) (any, error) {
	workflow, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	intern.Fields(&workflow.Kind, &workflow.APIVersion, &workflow.Namespace)
	for i := range workflow.Finalizers {
		intern.Fields(&workflow.Finalizers[i])
	}
	workflow.Annotations, workflow.ManagedFields, workflow.OwnerReferences = nil, nil, nil
	if !isTrimmed(workflow.Labels) { // the cache trims each Workflow of its first list twice
		workflow.GenerateName, workflow.Labels = workflow.Labels[v1alpha1.LabelIdentity], trimLabels(workflow.Labels)
	}
	return workflow, nil
}

func isTrimmed(labels map[string]string) bool {
	_, marked := labels[trimmedMark]
	return marked
}

// Identity is that of the task which a Workflow was made for, by its label.
func Identity(workflow client.Object) string {
	if labels := workflow.GetLabels(); !isTrimmed(labels) {
		return labels[v1alpha1.LabelIdentity]
	}
	return workflow.GetGenerateName()
}

// labelsIn are the labels that are kept of a Workflow in each phase. Cached objects are not
// changed, so that all may have the same map.
var labelsIn = map[string]map[string]string{}

func init() {
	for _, phase := range []wfv1.WorkflowPhase{
		wfv1.WorkflowUnknown, wfv1.WorkflowPending, wfv1.WorkflowRunning, wfv1.WorkflowSucceeded, wfv1.WorkflowFailed, wfv1.WorkflowError,
	} {
		labelsIn[string(phase)] = keptLabels(string(phase))
	}
}

func keptLabels(phase string) map[string]string {
	return map[string]string{trimmedMark: "", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, phaseLabel: phase}
}

// trimLabels keeps the labels that are read.
func trimLabels(labels map[string]string) map[string]string {
	phase := labels[phaseLabel]
	if shared := labelsIn[phase]; shared != nil {
		return shared
	}
	return keptLabels(phase)
}
