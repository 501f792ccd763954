package trigger

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Hold is why a stage does not start although the one before it has succeeded. The zero
// Hold is none: the stage waits for its turn alone.
type Hold struct {
	Reason  v1alpha1.Reason
	Message string
}

// Resumable are the reasons of holds that a RunRequest with action Resume ends.
func Resumable() []v1alpha1.Reason {
	return []v1alpha1.Reason{v1alpha1.ReasonPerson, v1alpha1.ReasonWindow, v1alpha1.ReasonFreeze}
}

// WaitsForTime tells whether a hold ends by itself, so that Resume needs a reason to end it before.
func WaitsForTime(reason v1alpha1.Reason) bool {
	return reason == v1alpha1.ReasonWindow || reason == v1alpha1.ReasonFreeze
}

// HoldOf returns what holds a stage of the pipeline as it is now. resumed tells that a
// person has let it go on.
func HoldOf(pipeline *v1alpha1.CdPipeline, stage Stage, resumed bool) Hold {
	spec := StageSpec(pipeline, stage)
	switch {
	case pipeline.Spec.Hold:
		return Hold{v1alpha1.ReasonHold, truncate("spec.hold of the pipeline is true" + heldBy(pipeline) + ": set it to false to go on")}
	case spec != nil && spec.Trigger == v1alpha1.TriggerManual && !resumed:
		return Hold{v1alpha1.ReasonPerson, fmt.Sprintf("the trigger of stage %s is Manual: create a RunRequest with action Resume to go on", stage)}
	default:
		return Hold{}
	}
}

// heldBy tells who holds the pipeline, and why, where its annotations do.
func heldBy(pipeline *v1alpha1.CdPipeline) string {
	by, reason := pipeline.Annotations[v1alpha1.AnnotationHoldBy], pipeline.Annotations[v1alpha1.AnnotationHoldReason]
	switch {
	case by == "" && reason == "":
		return ""
	case reason == "":
		return " (by " + by + ")"
	case by == "":
		return " (" + reason + ")"
	default:
		return " (by " + by + ": " + reason + ")"
	}
}

// TimeHold returns what holds a stage at the time because of a freeze or of the pipeline's
// windows. POST belongs to a deployment that has been made, and goes on.
func TimeHold(pipeline *v1alpha1.CdPipeline, stage Stage, freeze Freeze, at time.Time) Hold {
	if stage == StagePost {
		return Hold{}
	}
	if hold := freeze.Hold(pipeline.Namespace, at); hold != (Hold{}) {
		return hold
	}
	return WindowHold(pipeline, at)
}

// TurnHold is the hold of a stage that waits for its build's turn.
var TurnHold = Hold{v1alpha1.ReasonTurn, "another build has its turn in this pipeline"}

// StageBeforeHold is the hold of a stage behind the first.
var StageBeforeHold = Hold{v1alpha1.ReasonStageBefore, ""}
