package argo

import (
	"fmt"
	"strings"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
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

// Observe says what a Workflow means for its task. One that is deleted, or about to be,
// and had not ended will never end otherwise.
func Observe(workflow client.Object, deleted bool) store.Observation {
	name, status := workflow.GetName(), statusOf(wfv1.WorkflowPhase(workflow.GetLabels()[phaseLabel]))
	observation := store.Observation{
		Namespace: workflow.GetNamespace(), WorkflowName: name, WorkflowUID: string(workflow.GetUID()),
		Identity: Identity(workflow), Status: status,
	}
	switch {
	case status == store.StatusFailed || status == store.StatusError:
		observation.Reason = v1alpha1.ReasonWorkflowFailed
		observation.Message = fmt.Sprintf("Workflow %s ended as %s: kubectl -n %s describe workflow %s tells more", name, status, observation.Namespace, name)
	case status.HasEnded():
	case deleted || workflow.GetDeletionTimestamp() != nil:
		observation.Status, observation.Reason = store.StatusError, v1alpha1.ReasonWorkflowDeleted
		observation.Message = fmt.Sprintf("Workflow %s was deleted before it ended", name)
	}
	return observation
}

// Gone says that the Workflow of a task does not exist any more, and that its end is not
// known. Our finalizer keeps a Workflow until its end is recorded: so either that record is
// lost, or somebody took the finalizer off.
func Gone(task store.Active) store.Observation {
	return store.Observation{
		Gone: task.ID, Namespace: task.Namespace, WorkflowName: task.WorkflowName, Reason: v1alpha1.ReasonEndUnknown,
		Message: fmt.Sprintf("Workflow %s is gone, and its end is not in the database: the database was restored, or somebody took the finalizer off; "+
			"look at what it has done, and create a RunRequest with action Trigger or Retry where that is to be done again", task.WorkflowName),
	}
}

// statusOf is the task's state while its Workflow is in a phase.
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

// maxExplanation bounds, in bytes, what is passed on of Argo's own words.
const maxExplanation = 512

// Explain returns the message of a Workflow that failed, with Argo's own words where there
// are any, such as "Stopped with strategy 'Terminate'", on one line.
func Explain(seen store.Observation, words string) string {
	if words == "" {
		return seen.Message
	}
	return fmt.Sprintf("Workflow %s ended as %s: %s: kubectl -n %s describe workflow %s tells more",
		seen.WorkflowName, seen.Status, clip.Text(strings.Join(strings.Fields(words), " "), maxExplanation), seen.Namespace, seen.WorkflowName)
}

// The labels in which Argo's server keeps who did something last to a Workflow, and what
// (argo-workflows, workflow/common/common.go: LabelKeyAction, LabelKeyActor…).
const (
	actionLabel = "workflows.argoproj.io/action"
	actorLabel  = "workflows.argoproj.io/actor"
)

// Retried returns a message that a Workflow was retried in Argo, with the user's name where
// Argo's server knows it.
func Retried(workflow client.Object) string {
	message := fmt.Sprintf("Workflow %s was retried in Argo", workflow.GetName())
	labels := workflow.GetLabels()
	if labels[actionLabel] != "Retry" {
		return message
	}
	for _, label := range []string{actorLabel + "-preferred-username", actorLabel + "-email", actorLabel} {
		if name := labels[label]; name != "" {
			return message + " by " + name
		}
	}
	return message
}

// HasTimedOut tells whether a whole Workflow that failed ran for as long as it may, by
// Argo's own times.
func HasTimedOut(workflow *wfv1.Workflow) bool {
	deadline := workflow.Spec.ActiveDeadlineSeconds
	if workflow.Status.Phase != wfv1.WorkflowFailed || deadline == nil {
		return false
	}
	// Argo keeps whole seconds.
	return workflow.Status.FinishedAt.Sub(workflow.Status.StartedAt.Time) >= time.Duration(*deadline)*time.Second
}

// HasEnded tells whether a Workflow's phase is an end.
func HasEnded(workflow client.Object) bool {
	return statusOf(wfv1.WorkflowPhase(workflow.GetLabels()[phaseLabel])).HasEnded()
}

// Phase is what Argo's label tells of a Workflow; empty until Argo has taken it up.
func Phase(workflow client.Object) string { return workflow.GetLabels()[phaseLabel] }
