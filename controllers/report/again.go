package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// retryAdvice says what to do about a run that failed, where its message does not.
const retryAdvice = "; to run the stage again, create a RunRequest with action Retry"

// unadvised are the reasons whose messages can't say what to do, since whether the stage has
// attempts left is not known when they are written.
var unadvised = map[v1alpha1.Reason]bool{
	v1alpha1.ReasonWorkflowFailed: true, v1alpha1.ReasonWorkflowDeleted: true, v1alpha1.ReasonTimedOut: true,
}

// explainAttempts adds to a run of which a stage has retries which attempt it is, how the one
// before ended and when the next begins; and to one that failed for good what to do.
func explainAttempts(run store.LastRun, pipeline *v1alpha1.CdPipeline) store.LastRun {
	attempts := attemptOf(pipeline, run)
	switch {
	case run.Status == store.StatusPending && run.StageAttempt > 1 && run.Reason == "":
		run.Reason, run.Message = v1alpha1.ReasonRetry, explain.NextAttempt(attempts, run.StageAttempt, run.Next, run.AttemptBefore)
	case run.Status == store.StatusFailed || run.Status == store.StatusError:
		if _, more := trigger.RetryAfter(pipeline, run.Stage, run.StageAttempt); more && run.HasWorkflow {
			return run // the next attempt is about to be made
		}
		if run.StageAttempt > 1 {
			run.Message = attempts + ": " + run.Message
		}
		if unadvised[run.Reason] {
			run.Message += retryAdvice
		}
	}
	return run
}

// attemptOf says which attempt of its stage a run is at, and of how many.
func attemptOf(pipeline *v1alpha1.CdPipeline, run store.LastRun) string {
	spec := trigger.StageSpec(pipeline, run.Stage)
	if spec == nil || spec.Retries == nil || spec.Retries.Max+1 < run.StageAttempt {
		return fmt.Sprintf("attempt %d", run.StageAttempt)
	}
	return fmt.Sprintf("attempt %d of %d", run.StageAttempt, spec.Retries.Max+1)
}

// explainTurn names the build that a run waits for.
func explainTurn(run store.LastRun) store.LastRun {
	if run.Status == store.StatusHeld && run.Reason == v1alpha1.ReasonTurn && run.TurnOf != "" {
		run.Message = explain.TurnOf(run.TurnOf)
	}
	return run
}

// explainTemplate says until when a run waits for its template.
func explainTemplate(run store.LastRun, wait time.Duration) store.LastRun {
	if run.Status == store.StatusHeld && run.Reason == v1alpha1.ReasonTemplate && wait > 0 {
		run.Message += explain.TemplateDeadline(run.At.Add(wait))
	}
	return run
}

// describeRetried says which runs have a stage that is to be tried again, and when.
func describeRetried(summary *store.Summary) string {
	var text strings.Builder
	for _, held := range summary.Held {
		if held.Reason != v1alpha1.ReasonRetry {
			continue
		}
		noun := "1 run is"
		if held.Count > 1 {
			noun = fmt.Sprintf("%d runs are", held.Count)
		}
		fmt.Fprintf(&text, "; %s tried again after a failure (%s)", noun, names(held.Examples, held.Count))
		if !held.Next.IsZero() {
			fmt.Fprintf(&text, ", next at %s", explain.Clock(held.Next))
		}
	}
	return text.String()
}

// adviseRetry says what to do about failed runs, where one of the messages does not.
func adviseRetry(summary *store.Summary) string {
	isUnadvised := slices.ContainsFunc(summary.Failures, func(failure store.Failure) bool { return unadvised[failure.Reason] })
	if summary.Triggers.Failed == 0 || !isUnadvised {
		return ""
	}
	return retryAdvice
}
