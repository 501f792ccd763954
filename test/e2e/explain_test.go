package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// explainer reads the rows of a world as penstock server does.
type explainer struct {
	*testing.T
	*world.World
	view *view.View
}

func newExplainer(t *testing.T, w *world.World) *explainer {
	t.Helper()
	rows, err := store.Open(t.Context(), store.Config{URL: w.DatabaseURL, Schema: "penstock", MaxConns: 2, ReadOnly: true, ApplicationName: "explainer"})
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	return &explainer{T: t, World: w, view: view.New(rows)}
}

// saysOf waits until the explanation of a pipeline for a build has all these words.
func (e *explainer) saysOf(build, pipeline string, words ...string) {
	e.Helper()
	var said string
	e.Cleanup(func() {
		if e.Failed() {
			e.Logf("%s of %s: %s", pipeline, build, said)
		}
	})
	e.Eventually("the explanation of "+pipeline+" says "+strings.Join(words, ", "), func(ctx context.Context) bool {
		_, pipelines, _, err := e.view.ExplainBuild(ctx, e.Namespace, build, 0, 500)
		if err != nil {
			said = err.Error()
			return false
		}
		for _, facts := range pipelines {
			if facts.Pipeline == pipeline {
				said = text(explain.Pipeline(facts))
			}
		}
		for _, one := range words {
			if !strings.Contains(said, one) {
				return false
			}
		}
		return true
	})
	e.Logf("%s of %s: %s", pipeline, build, said)
}

func text(p rest.PipelineExplanation) string {
	lines := append([]string{p.Decided}, p.Became...)
	if p.Waits != "" {
		lines = append(lines, "waits for "+p.Waits)
	}
	return strings.Join(append(lines, p.Commands...), "\n")
}

func TestExplanationsAreTrueOfWhatTheControllerDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("fails", given.Runs("failing-pod")),
		given.CdPipeline("runs", given.Runs("for-ever")), given.CdPipeline("approve", given.WithPre, given.ManualStage(trigger.StageDeploy)),
		given.CdPipeline("held", given.Held), given.CdPipeline("suspended", given.Suspended), given.CdPipeline("filtered", given.Filter("false")),
		given.CdPipeline("no-template", given.Runs("nowhere")), given.CdPipeline("by-hand", given.Manual),
		given.CdPipeline("below-runs", given.BelowCd("runs")), given.CdPipeline("below-fails", given.BelowCd("fails")))
	w.Start()
	e := newExplainer(t, w)
	build(w, "app-1")
	w.Succeed("app-1")
	for pipeline, words := range map[string][]string{
		"web":         {"Triggered by build app-1", "stage DEPLOY ended as Succeeded (Workflow web-deploy-", "ended as Succeeded at "},
		"fails":       {"stage DEPLOY ended as Failed", "WorkflowFailed", "kubectl penstock retry run "},
		"runs":        {"stage DEPLOY runs (Workflow runs-deploy-", "kubectl penstock cancel run "},
		"approve":     {"stage PRE ended as Succeeded", "waits for a person", ", since ", "kubectl penstock resume run ", " --stage DEPLOY -n " + w.Namespace},
		"held":        {"waits for spec.hold to be false", "kubectl penstock release held"},
		"suspended":   {"Skipped, Suspended: spec.suspend is true", "kubectl patch cdpipeline suspended"},
		"filtered":    {"Skipped, FilteredOut: spec.filter is false: false"},
		"no-template": {"waits for its template to exist: ", "nowhere", "the stage ends as Error at "},
		"by-hand":     {"Skipped, ManualTrigger", "kubectl penstock trigger by-hand --build app-1"},
		"below-runs":  {"Waiting, ParentRunning", "waits for CdPipeline runs to succeed: its run ", "is at stage DEPLOY, Running"},
		"below-fails": {"Blocked, ParentNotSucceeded: parent CdPipeline fails ended as Failed", "kubectl penstock retry cdpipeline/fails --build app-1"},
	} {
		e.saysOf("app-1", pipeline, words...)
	}
	build(w, "app-2")
	w.Succeed("app-2")
	e.saysOf("app-2", "runs", "waits for the turn of another build to end: build app-1 has its turn in this pipeline", "is at stage DEPLOY, Running")
	w.Create(given.RunRequest("stop", v1alpha1.ActionCancel, given.OfPipeline("runs"), given.OfBuild("app-1"), given.BecauseOf("a mistake")))
	e.saysOf("app-1", "runs", "stage DEPLOY ended as Cancelled", "cancelled by ", "a mistake", "ended as Cancelled at ")
	e.saysOf("app-1", "below-runs", "Blocked, ParentNotSucceeded: parent CdPipeline runs ended as Cancelled")
	w.Create(given.RunRequest("stop-2", v1alpha1.ActionCancel, given.OfPipeline("runs"), given.OfBuild("app-2")))
	e.saysOf("app-2", "runs", "ended as Cancelled at ")
	w.Judge()
}

// The gate is the whole controller's: this world has one of its own.
func TestAnExplanationTellsOfTheGateAndOfTheQuota(t *testing.T) {
	t.Parallel()
	w := newNarrowWorld(t, "MAX_ACTIVE_WORKFLOWS=1")
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("first", given.Runs("for-ever"), given.Priority(1)), given.CdPipeline("second"))
	w.Start()
	e := newExplainer(t, w)
	build(w, "app-1")
	w.Succeed("app-1")
	e.saysOf("app-1", "first", "stage DEPLOY runs")
	e.saysOf("app-1", "second", "waits for Workflows to finish: 1 are unfinished, and MAX_ACTIVE_WORKFLOWS is 1")
	limitWorkflows(w, "1")
	w.Create(given.RunRequest("stop", v1alpha1.ActionCancel, given.OfPipeline("first"), given.OfBuild("app-1")))
	e.saysOf("app-1", "second", "waits for Workflows of the namespace to be accepted: ", "exceeded quota: team", "next at ", "raise the quota, or delete Workflows that have ended")
}
