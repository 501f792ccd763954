package trigger

import (
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Step is what follows the success of a stage: one of the three is set.
type Step struct {
	// Next is the stage that starts now.
	Next Stage
	// Hold says why the next stage waits for a person.
	Hold string
	// Done true means that this was the last stage.
	Done bool
}

// AfterSuccess returns what follows a stage of the pipeline that succeeded.
func AfterSuccess(pipeline *v1alpha1.CdPipeline, stage Stage) Step {
	next, more := NextStage(pipeline, stage)
	if !more {
		return Step{Done: true}
	}
	if StageSpec(pipeline, next).Trigger == v1alpha1.TriggerManual {
		return Step{Hold: fmt.Sprintf("stage %s succeeded; stage %s waits because its trigger is Manual", stage, next)}
	}
	return Step{Next: next}
}
