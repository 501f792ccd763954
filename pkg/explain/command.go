package explain

import (
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// commandsOf are the commands that change how a pipeline stands for a build.
func commandsOf(f Facts) []string {
	switch {
	case f.Decision == nil:
		return nil
	case f.Run != nil && f.Run.Outcome == "":
		return ofOpenRun(f)
	case f.Run != nil:
		return ofEndedRun(f)
	default:
		return ofDecision(f)
	}
}

// ofOpenRun are those of a run that has not ended.
func ofOpenRun(f Facts) []string {
	stage, cancel := Reached(f.Run.Run), f.onRun("cancel", "")
	if stage.State != "Held" {
		return []string{cancel}
	}
	switch v1alpha1.Reason(stage.Reason) {
	case v1alpha1.ReasonPerson:
		return []string{f.onRun("resume", "--stage "+stage.Stage), cancel}
	case v1alpha1.ReasonWindow, v1alpha1.ReasonFreeze:
		return []string{f.onRun("resume", "--stage "+stage.Stage+" --reason TEXT"), cancel}
	case v1alpha1.ReasonHold:
		return []string{penstock("release", f.Pipeline, f.Namespace), cancel}
	case v1alpha1.ReasonTurn:
		if f.Run.Task.TurnOf != "" {
			return []string{penstock("cancel", aPipeline(f.Pipeline)+" --build "+f.Run.Task.TurnOf, f.Namespace), cancel}
		}
	}
	return []string{cancel}
}

// ofEndedRun are those of a run that has ended.
func ofEndedRun(f Facts) []string {
	switch f.Run.Outcome {
	case "Failed", "Error", "Cancelled":
		return []string{f.onRun("retry", "")}
	case "Superseded":
		return []string{f.on("trigger", "--allow-older")}
	default:
		return nil
	}
}

// ofDecision are those of a decision that has made no run.
func ofDecision(f Facts) []string {
	trigger := f.on("trigger", "")
	switch v1alpha1.Reason(f.Decision.Reason) {
	case v1alpha1.ReasonSuspended:
		return []string{f.patch("cdpipeline", f.Pipeline), trigger}
	case v1alpha1.ReasonParentSuspended:
		if f.Parent.Kind == string(v1alpha1.ParentCiPipeline) {
			return []string{f.patch("cipipeline", f.Parent.Name), trigger}
		}
		return []string{trigger}
	case v1alpha1.ReasonFilteredOut, v1alpha1.ReasonInvalidFilter, v1alpha1.ReasonFilterFailed, v1alpha1.ReasonFilterTooExpensive, v1alpha1.ReasonFilterBudgetExceeded:
		return []string{fmt.Sprintf("kubectl edit cdpipeline %s -n %s", f.Pipeline, f.Namespace), trigger}
	case v1alpha1.ReasonManualTrigger, v1alpha1.ReasonParentNotTriggered, v1alpha1.ReasonParentChanged, v1alpha1.ReasonRecordsLost:
		return []string{trigger}
	case v1alpha1.ReasonParentNotSucceeded:
		if f.Parent.Kind == string(v1alpha1.ParentCdPipeline) {
			return []string{penstock("retry", aPipeline(f.Parent.Name)+" --build "+f.Build, f.Namespace), trigger}
		}
		return []string{trigger}
	case v1alpha1.ReasonParentRunning:
		if f.Above != nil {
			return []string{penstock("explain run", fmt.Sprint(f.Above.ID), f.Namespace)}
		}
		return nil
	case v1alpha1.ReasonSuperseded:
		return []string{f.on("trigger", "--allow-older")}
	default:
		return nil
	}
}

// on is a command about the pipeline and the build.
func (f Facts) on(command, flags string) string {
	return penstock(command, strings.TrimSpace(f.Pipeline+" --build "+f.Build+" "+flags), f.Namespace)
}

// onRun is a command about the run alone: a build has several in a pipeline that runs for each
// of its artifacts.
func (f Facts) onRun(command, flags string) string {
	return penstock(command, strings.TrimSpace(fmt.Sprintf("run %d %s", f.Run.ID, flags)), f.Namespace)
}

// aPipeline names a CdPipeline to commands for which a name alone is that of a build.
func aPipeline(name string) string { return "cdpipeline/" + name }

// patch sets spec.suspend of an object to false.
func (f Facts) patch(kind, name string) string {
	return fmt.Sprintf(`kubectl patch %s %s -n %s --type merge -p '{"spec":{"suspend":false}}'`, kind, name, f.Namespace)
}

// penstock is a command of the plugin. The names in it are those of objects.
func penstock(command, arguments, namespace string) string {
	return fmt.Sprintf("kubectl penstock %s %s -n %s", command, arguments, namespace)
}
