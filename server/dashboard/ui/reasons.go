package ui

// reasons say in words what a reason means to somebody who has never seen it.
var reasons = map[string]string{
	"Triggered": "a run was created", "SameRun": "it goes in the same run", "Requested": "somebody asked for it",
	"ParentRunning": "the pipeline before it has not succeeded yet", "ParentChanged": "its place among the pipelines has changed",
	"Superseded": "a newer build took its turn", "Suspended": "the pipeline is suspended", "ParentSuspended": "a pipeline before it is suspended",
	"ManualTrigger": "the pipeline is triggered by hand", "FilteredOut": "the filter of the pipeline does not select this build",
	"BuildNotSucceeded": "the build did not succeed", "ParentNotTriggered": "the pipeline before it was not triggered",
	"ParentNotSucceeded": "the pipeline before it did not succeed", "InvalidFilter": "the filter of the pipeline is not valid",
	"FilterFailed": "the filter of the pipeline failed", "FilterTooExpensive": "the filter of the pipeline costs too much",
	"FilterBudgetExceeded": "the filters of all pipelines together cost too much", "PipelineTerminating": "the pipeline is being deleted",
	"StageBefore": "waits for the stage before", "Person": "waits for a person to resume it", "Hold": "the pipeline is on hold",
	"Turn": "an older build has its turn in this pipeline", "Window": "waits for a window of the pipeline", "Freeze": "triggers are frozen",
	"Template": "waits for a WorkflowTemplate that does not exist", "StageBeforeFailed": "the stage before did not succeed",
	"Replaced": "a newer build replaced it", "Cancelled": "somebody cancelled it", "BuildDeleted": "the build was deleted",
	"NoArtifacts": "the build has no artifacts", "WorkflowRetried": "its Workflow was retried in Argo", "TimedOut": "it ran out of time",
	"Retry": "it is tried again", "TemplateNotFound": "the WorkflowTemplate does not exist", "InvalidParameters": "its parameters are not valid",
	"WorkflowInvalid": "Argo does not accept its Workflow", "BacklogFull": "as many Workflows are unfinished as may be",
	"ParentNotFound": "the pipeline before it does not exist", "ParentCycle": "the pipelines follow each other in a ring",
}

// inWords is what a reason means, or the reason itself where it is not known here.
func inWords(reason string) string {
	if words, known := reasons[reason]; known {
		return words
	}
	return reason
}
