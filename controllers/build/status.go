package build

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
)

// maxMessage is how many bytes of a message the status takes.
const maxMessage = 4096

// underWay is the status of a build that has not ended; task is nil where the pipeline is
// suspended. It is a pure function.
func underWay(build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline, task *store.BuildTask) v1alpha1.CiBuildStatus {
	status := *build.Status.DeepCopy()
	status.ObservedGeneration, status.Phase, status.Reason, status.Message = build.Generation, v1alpha1.BuildPending, "", ""
	if task == nil {
		status.Reason = string(v1alpha1.ReasonSuspended)
		status.Message = fmt.Sprintf("CiPipeline %s is suspended: set spec.suspend to false, and the build starts", pipeline.Name)
		return status
	}
	if task.Status.HasEnded() {
		return build.Status // the Ender tells
	}
	noteWorkflow(&status, *task)
	switch {
	case task.Status == store.StatusRunning:
		status.Phase = v1alpha1.BuildRunning
	case task.Status == store.StatusHeld && task.Reason == v1alpha1.ReasonTurn:
		status.Reason, status.Message = string(task.Reason), waitsForTurn(build, pipeline)
	default:
		status.Reason, status.Message = string(task.Reason), clip.Text(task.Message, maxMessage)
	}
	return status
}

func waitsForTurn(build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline) string {
	of := "without a ref"
	if build.Spec.Ref != "" {
		of = "of ref " + build.Spec.Ref
	}
	return fmt.Sprintf("another build %s of CiPipeline %s has its turn: this one starts when that has ended (concurrencyPolicy %s)",
		of, pipeline.Name, refOf(pipeline).Policy)
}

// noteWorkflow says which Workflow runs the build, and since when.
func noteWorkflow(status *v1alpha1.CiBuildStatus, task store.BuildTask) {
	if task.HadWorkflow {
		status.WorkflowRef = &v1alpha1.WorkflowReference{Name: task.WorkflowName, UID: task.WorkflowUID}
	}
	status.StartedAt = seconds(task.StartedAt)
}

// seconds is a time as the API keeps it; nil for none.
func seconds(at pgtype.Timestamptz) *metav1.Time {
	if !at.Valid {
		return nil
	}
	t := metav1.NewTime(at.Time).Rfc3339Copy()
	return &t
}

// ended is the status of a build whose task has ended. Of one that succeeded the artifacts
// are known, or why there are none. It is a pure function.
func ended(build *v1alpha1.CiBuild, task store.BuildTask, artifacts []v1alpha1.Artifact, missing *problem) v1alpha1.CiBuildStatus {
	status := *build.Status.DeepCopy()
	status.ObservedGeneration = build.Generation
	status.Reason, status.Message = string(task.Reason), clip.Text(task.Message, maxMessage)
	noteWorkflow(&status, task)
	status.FinishedAt = seconds(task.FinishedAt)
	switch task.Status {
	case store.StatusSucceeded:
		status.Phase, status.Artifacts = v1alpha1.BuildSucceeded, artifacts
	case store.StatusFailed:
		status.Phase = v1alpha1.BuildFailed
	case store.StatusCancelled, store.StatusSuperseded:
		status.Phase = v1alpha1.BuildCancelled
	default:
		status.Phase = v1alpha1.BuildError
	}
	if missing != nil {
		status.Phase, status.Artifacts = v1alpha1.BuildError, nil
		status.Reason, status.Message = string(missing.reason), clip.Text(missing.message, maxMessage)
	}
	return status
}

// problem is why a build whose Workflow succeeded has no artifacts.
type problem struct {
	reason  v1alpha1.Reason
	message string
}
