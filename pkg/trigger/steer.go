package trigger

import "github.com/penstock-cd/penstock/api/v1alpha1"

// Steered returns the readiness of a pipeline with what its spec says of suspend, hold and
// trigger. One that is not ready for another reason stays so.
func Steered(pipeline *v1alpha1.CdPipeline, ready Readiness) Readiness {
	switch {
	case !ready.Ready:
		return ready
	case pipeline.Spec.Suspend:
		return Readiness{Reason: v1alpha1.ReasonSuspended, Message: "spec.suspend is true: new builds are skipped until it is false"}
	case pipeline.Spec.Hold:
		return Readiness{Reason: v1alpha1.ReasonHold, Message: "spec.hold is true: runs are planned, and wait until it is false"}
	case pipeline.Spec.Trigger == v1alpha1.TriggerManual:
		return Readiness{Ready: true, Reason: v1alpha1.ReasonManualTrigger,
			Message: "spec.trigger is Manual: builds do not start it; create a RunRequest with action Trigger to run it"}
	default:
		return ready
	}
}
