package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Pipeline explains one pipeline for one build.
func Pipeline(f Facts) rest.PipelineExplanation {
	explained := rest.PipelineExplanation{Pipeline: f.Pipeline, Build: f.Build, Became: []string{}, Commands: append([]string{}, commandsOf(f)...)}
	if f.Decision == nil {
		explained.Decided = undecided(f)
		return explained
	}
	decided := *f.Decision
	explained.Image, explained.Outcome, explained.Reason, explained.At = decided.Image, decided.Outcome, decided.Reason, &decided.At
	explained.Decided, explained.Rule = Decided(decided), Rule(v1alpha1.Reason(decided.Reason))
	if f.Run == nil {
		explained.Decided += overtaken(f)
		explained.Waits = withoutRun(f)
		return explained
	}
	explained.Decided += requested(f)
	stage := Reached(f.Run.Run)
	explained.Run, explained.Cluster, explained.Stage, explained.State = f.Run.ID, f.Run.Cluster, stage.Stage, reasoned(stage)
	explained.Became = append(explained.Became, became(*f.Run)...)
	if f.Run.Outcome == "" {
		explained.Waits, explained.Since = waiting(*f.Run, f.Controller, f.Now), known(f.Run.Task.ChangedAt)
	}
	return explained
}

// overtaken names the build that had its turn before one that is Superseded, where its decision
// does not.
func overtaken(f Facts) string {
	isNamed := f.Newest == "" || f.Newest == f.Build || strings.Contains(f.Decision.Message, f.Newest+" ")
	if f.Decision.Reason != string(v1alpha1.ReasonSuperseded) || isNamed {
		return ""
	}
	return fmt.Sprintf("; the newest that has had its turn there is build %s", f.Newest)
}

// requested names who asked for a run, or for one above it, where the decision is an earlier one
// about the same build.
func requested(f Facts) string {
	if f.Run.Actor == "" || f.Decision.Reason == string(v1alpha1.ReasonRequested) {
		return ""
	}
	return fmt.Sprintf("; run %d comes of a request by %s", f.Run.ID, f.Run.Actor)
}

// withoutRun completes "waits for" for a decision that has made no run yet; empty where none
// will be made.
func withoutRun(f Facts) string {
	if f.Decision.Outcome != string(v1alpha1.OutcomeWaiting) {
		return ""
	}
	if f.Above == nil {
		return "the pipeline above to succeed"
	}
	stage := Reached(f.Above.Run)
	text := fmt.Sprintf("CdPipeline %s to succeed: its run %d is at stage %s, %s", f.Above.Pipeline, f.Above.ID, stage.Stage, reasoned(stage))
	if waits := waiting(*f.Above, f.Controller, f.Now); waits != "" {
		text += ", and waits for " + waits
	}
	return text
}

// known is nil for the zero time.
func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	utc := at.UTC()
	return &utc
}
