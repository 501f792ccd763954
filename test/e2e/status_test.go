package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// What a stranger sees who looks at a build of which everything has become of something.
func TestTheTablesOfKubectlTellWhatWaitsRunsAndHasFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("fails", given.Runs("failing-pod")),
		given.CdPipeline("runs", given.Runs("for-ever")), given.CdPipeline("approve", given.WithPre, given.ManualStage(trigger.StageDeploy)),
		given.CdPipeline("held", given.Held), given.CdPipeline("suspended", given.Suspended),
		given.CdPipeline("no-template", given.Runs("nowhere")), given.CdPipeline("by-hand", given.Manual))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	w.KubectlTells("get cibuild app-1", "RunsFailed   4/6         3         1         1")
	for pipeline, words := range map[string][]string{
		"web":         {"Ready", "Succeeded", given.Artifact(0).Image},
		"fails":       {"Ready", "Failed"},
		"runs":        {"Ready", "Running"},
		"approve":     {"Ready", "Held"},
		"held":        {"Hold", "Held"},
		"suspended":   {"Suspended"},
		"no-template": {"TemplateNotFound", "Held"},
		"by-hand":     {"ManualTrigger"},
	} {
		w.KubectlTells("get cdpipeline "+pipeline, words...)
	}
	w.KubectlTells("describe cibuild app-1", "of 6 runs: 1 failed, 3 waiting, 1 running, 1 succeeded; fails DEPLOY ended as Failed (WorkflowFailed: Workflow fails-",
		"6 triggered; 1 Skipped/ManualTrigger (by-hand)", "1 Skipped/Suspended (suspended)")
	printed, err := w.Kubectl(t.Context(), "get", "cibuild,cdpipeline")
	require.NoError(t, err)
	t.Log(printed)
	events, err := w.Kubectl(t.Context(), "events", "--for", "cibuild/app-1")
	require.NoError(t, err)
	t.Log(events)
	w.Judge()
}
