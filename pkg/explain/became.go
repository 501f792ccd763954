package explain

import (
	"fmt"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// became says what came of a run so far, stage by stage, and how it ended.
func became(run Run) []string {
	var told []string
	if run.Actor != "" {
		told = append(told, fmt.Sprintf("run %d was asked for by %s", run.ID, run.Actor))
	}
	for _, stage := range run.Stages {
		if stage.State == "Held" || stage.State == "Pending" || stage.State == "Submitting" {
			continue // it is what is waited for, or comes after that
		}
		told = append(told, stageBecame(stage))
	}
	if run.Task.Stopping && run.Outcome == "" {
		told = append(told, "it is being stopped")
	}
	if run.Outcome != "" {
		text := fmt.Sprintf("run %d ended as %s", run.ID, run.Outcome)
		if run.FinishedAt != nil {
			text += " at " + Clock(*run.FinishedAt)
		}
		told = append(told, text)
	}
	return told
}

// stageBecame says what came of one stage.
func stageBecame(stage rest.Stage) string {
	text := "stage " + stage.Stage
	if stage.ResumedBy != "" {
		text += ", resumed by " + stage.ResumedBy + ","
	}
	switch stage.State {
	case "Submitted":
		text += " has a Workflow that has not begun"
	case "Running":
		text += " runs"
	default:
		text += " ended as " + stage.State
	}
	if stage.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d", stage.Attempt)
	}
	if stage.SubmittedAt != nil {
		text += fmt.Sprintf(" (Workflow %s)", stage.WorkflowName)
	}
	reason := v1alpha1.Reason(stage.Reason)
	if why := End(stage.State, reason, stage.Message); why != "" && reason != v1alpha1.ReasonNotTakenUp { // which is what it waits for
		text += ": " + why
	}
	return text
}
