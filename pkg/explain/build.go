package explain

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// BuildFacts are what is known of a build itself.
type BuildFacts struct {
	Namespace string
	Now       time.Time
	Build     rest.Build
	// Decisions is whether anything was decided for a pipeline.
	Decisions bool
	// Suspended tells whether spec.suspend of its CiPipeline is true.
	Suspended bool
	// Stage is the task of a build that runs here, as if it were the stage of a run; nil where
	// there is none.
	Stage      *rest.Stage
	Task       Task
	Controller *Controller
}

// Build says how a build stands, and which commands change that.
func Build(f BuildFacts) (summary string, commands []string) {
	build := f.Build
	named := fmt.Sprintf("build %s of CiPipeline %s", build.Name, build.Pipeline)
	switch {
	case build.Phase == string(v1alpha1.BuildSucceeded) && build.PlannedAt == nil:
		return named + " has succeeded, and what to trigger is being decided: if that takes long, the condition Planned of the CiBuild says why",
			[]string{fmt.Sprintf("kubectl describe cibuild %s -n %s", build.Name, f.Namespace)}
	case !v1alpha1.BuildPhase(build.Phase).IsTerminal() && build.DeletedAt != nil:
		return named + " had not ended when its CiBuild was deleted, so that nothing was decided", nil
	case !v1alpha1.BuildPhase(build.Phase).IsTerminal():
		return named + unended(f), unendedCommands(f)
	case build.PlannedAt == nil:
		return fmt.Sprintf("%s ended as %s", named, build.Phase), nil
	case !f.Decisions && build.Phase == string(v1alpha1.BuildSucceeded):
		return fmt.Sprintf("%s has succeeded, and no CdPipeline hung below CiPipeline %s when that was decided at %s", named, build.Pipeline, Clock(*build.PlannedAt)), nil
	case build.Phase == string(v1alpha1.BuildSucceeded):
		return fmt.Sprintf("%s has succeeded, and was decided on at %s: %s, %d not ended, %d succeeded, %d ended otherwise%s", named,
			Clock(*build.PlannedAt), Counted(int(build.Runs.Total), "run"), build.Runs.Active, build.Runs.Succeeded, build.Runs.Failed, gone(build)), nil
	default:
		return fmt.Sprintf("%s ended as %s, so that nothing is triggered%s", named, build.Phase, ending(f)), nil
	}
}

// gone says that the CiBuild was deleted.
func gone(build rest.Build) string {
	if build.DeletedAt == nil {
		return ""
	}
	return fmt.Sprintf("; its CiBuild was deleted by %s, and its history is deleted HISTORY_RETENTION after that", Clock(*build.DeletedAt))
}

// ending says why a build that ran here did not succeed.
func ending(f BuildFacts) string {
	if f.Stage == nil {
		return ""
	}
	if why := End(f.Stage.State, v1alpha1.Reason(f.Stage.Reason), f.Stage.Message); why != "" {
		return ": " + why
	}
	return ""
}

// unended says what a build waits for that has not ended.
func unended(f BuildFacts) string {
	text := " has not ended, and nothing is decided before it has"
	if f.Stage == nil && f.Suspended {
		return text + ": spec.suspend of the CiPipeline is true, and builds that run here begin when it is false"
	}
	if f.Stage == nil {
		return text + ": whoever builds it reports its end in status.phase"
	}
	if waits := waiting(Run{Run: rest.Run{Stages: []rest.Stage{*f.Stage}}, Task: f.Task}, f.Controller, f.Now); waits != "" {
		return text + ": it waits for " + waits
	}
	return text + ": " + stageBecame(*f.Stage)
}

func unendedCommands(f BuildFacts) []string {
	if f.Stage == nil && f.Suspended {
		return []string{Facts{Namespace: f.Namespace}.patch("cipipeline", f.Build.Pipeline)}
	}
	if f.Stage == nil {
		return nil
	}
	return []string{penstock("cancel", f.Build.Name, f.Namespace)}
}

// UnknownBuild says why nothing is known of a build of that name.
func UnknownBuild(namespace, name string) string {
	return fmt.Sprintf("no build %s is recorded in namespace %s: the name is another, the controller has not seen it yet, "+
		"or its history was deleted, which happens HISTORY_RETENTION after its CiBuild was", name, namespace)
}

// UnknownRun says why nothing is known of a run of that number; last is the highest that there was.
func UnknownRun(namespace string, id, last int64) string {
	if id > last {
		return fmt.Sprintf("run %d does not exist: no run has had a number that high", id)
	}
	return fmt.Sprintf("run %d is not recorded in namespace %s: it belongs to another namespace, or its history was deleted, which happens HISTORY_RETENTION after its CiBuild was", id, namespace)
}

// UnknownPipeline says why nothing is known of a pipeline of that name.
func UnknownPipeline(namespace, name string) string {
	return fmt.Sprintf("no CdPipeline %s is recorded in namespace %s: the name is another, or the controller has not seen it yet", name, namespace)
}
