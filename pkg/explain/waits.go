package explain

import (
	"cmp"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Reached is the stage that a run is at: the last that did not wait for the one before.
func Reached(run rest.Run) rest.Stage {
	reached := rest.Stage{}
	for _, stage := range run.Stages {
		if stage.Reason != string(v1alpha1.ReasonStageBefore) && stage.Reason != string(v1alpha1.ReasonStageBeforeFailed) {
			reached = stage
		}
	}
	return reached
}

// waiting completes "waits for" for a run; empty where it waits for nothing, as where it runs or
// has ended.
func waiting(run Run, by *Controller, now time.Time) string {
	stage := Reached(run.Run)
	var text string
	if run.Task.Shut != "" && (stage.State == "Submitted" || stage.State == "Running") {
		return "its cluster, where its Workflow can't be followed now: " + run.Task.Shut
	}
	switch stage.State {
	case "Held":
		text = held(stage, run.Task, by)
	case "Pending":
		text = pending(stage, run.Task, by, now)
	case "Submitting":
		text = claimed(by)
	case "Submitted":
		if stage.Reason == string(v1alpha1.ReasonNotTakenUp) {
			return WaitsFor(v1alpha1.ReasonNotTakenUp) + ": " + stage.Message
		}
		return ""
	default:
		return ""
	}
	return text + silence(by, now)
}

// held is what ends a hold.
func held(stage rest.Stage, task Task, by *Controller) string {
	reason := v1alpha1.Reason(stage.Reason)
	text := cmp.Or(WaitsFor(reason), "what holds it ("+stage.Reason+") to end")
	switch reason {
	case v1alpha1.ReasonTurn:
		return text + turn(task)
	case v1alpha1.ReasonTemplate:
		text += ": " + stage.Message
		if by != nil && by.TemplateWait > 0 {
			text += TemplateDeadline(task.ChangedAt.Add(by.TemplateWait))
		}
		return text
	case v1alpha1.ReasonPerson:
		return fmt.Sprintf("%s, since %s: %s", text, Clock(task.ChangedAt), stage.Message)
	default:
		return text + ": " + stage.Message
	}
}

// turn says who has the turn, how far that is, and who else waits before.
func turn(task Task) string {
	if task.TurnOf == "" {
		return ": " + "no build has it now, so that this one is about to go on"
	}
	text := ": " + TurnOf(task.TurnOf)
	if task.TurnRun != nil {
		stage := Reached(*task.TurnRun)
		text += fmt.Sprintf("; its run %d is at stage %s, %s", task.TurnRun.ID, stage.Stage, reasoned(stage))
	}
	if task.TurnsBefore > 0 {
		text += fmt.Sprintf("; %s before this one", verb(task.TurnsBefore, "build", "waits", "wait"))
	}
	return text
}

// pending is what a task waits for that is to be claimed.
func pending(stage rest.Stage, task Task, by *Controller, now time.Time) string {
	if task.Cluster != "" {
		by = nil // what it tells is of the lanes at home
	}
	switch {
	case task.Shut != "":
		return "its cluster: " + task.Shut
	case task.DelayedBy != "" || IsDelay(v1alpha1.Reason(stage.Reason)):
		return "Workflows of the namespace to be accepted: " + delayOf(stage, task, by).String()
	case task.NextAt.After(now) && stage.Attempt > 1 && stage.Reason == "":
		return WaitsFor(v1alpha1.ReasonRetry) + ": " + NextAttempt(fmt.Sprintf("attempt %d", stage.Attempt), stage.Attempt, task.NextAt, task.Before)
	case task.NextAt.After(now):
		return fmt.Sprintf("its next attempt at %s%s", Clock(task.NextAt), after(": ", End("", v1alpha1.Reason(stage.Reason), stage.Message)))
	case by != nil && !by.Silent && by.GateClosed:
		return Gate(by.Active, by.MaxActive, by.Holders)
	default:
		return slot(task, by)
	}
}

// delayOf is what is known of the namespace, or else what the row of the task says.
func delayOf(stage rest.Stage, task Task, by *Controller) Delay {
	reason := v1alpha1.Reason(task.DelayedBy)
	if reason == "" {
		reason = v1alpha1.Reason(stage.Reason)
	}
	if by != nil && !by.Silent && by.Delay != nil && by.Delay.Reason == reason && by.Delay.Attempts > 0 {
		return *by.Delay
	}
	return Delay{Reason: reason, Message: stage.Message, Attempts: task.Failures, Next: task.NextAt}
}

// silence says that nobody claims, as far as is known; empty where somebody does.
func silence(by *Controller, now time.Time) string {
	switch {
	case by == nil:
		return "; no controller that claims is known, so that nothing goes on: see whether penstock runs"
	case by.Silent:
		return fmt.Sprintf("; no controller has been heard of for %s, so that nothing goes on: see whether penstock runs", span(now.Sub(by.SeenAt)))
	default:
		return ""
	}
}

// reasoned is the state of a stage with the reason for it.
func reasoned(stage rest.Stage) string {
	if stage.Reason == "" || stage.Reason == stage.State {
		return stage.State
	}
	return stage.State + "/" + stage.Reason
}

// after is the text behind a separator; empty where there is none.
func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

// verb is a number of things that do something.
func verb(n int, noun, one, many string) string {
	if n == 1 {
		return "1 " + noun + " " + one
	}
	return fmt.Sprintf("%d %ss %s", n, noun, many)
}
