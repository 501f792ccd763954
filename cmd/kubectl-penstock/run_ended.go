package main

import (
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// hasEnded tells whether the run has ended of which a CdPipeline tells this: a stage did not
// succeed, or its last one did.
func hasEnded(pipeline *v1alpha1.CdPipeline, last *v1alpha1.LastRun) bool {
	switch last.Phase {
	case "Failed", "Error", "Cancelled", "Superseded":
		return true
	case "Succeeded":
		stages := trigger.Stages(pipeline, "")
		return last.Stage == string(stages[len(stages)-1])
	}
	return false
}

// isRetried tells whether a stage that failed may be tried again.
func isRetried(pipeline *v1alpha1.CdPipeline, last *v1alpha1.LastRun) bool {
	stage := trigger.StageSpec(pipeline, trigger.Stage(last.Stage))
	return (last.Phase == "Failed" || last.Phase == "Error") && stage != nil && stage.Retries != nil && stage.Retries.Max > 0
}
