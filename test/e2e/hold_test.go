package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAPipelineOnHoldIsPlannedAndWaitsForItsRelease(t *testing.T) {
	t.Parallel()
	// Narrow: its controller is killed, and others need theirs.
	w := newNarrowWorld(t, seldom)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", given.Held), given.CdPipeline("below", given.BelowCd("web")))
	controller := w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Held/Hold")
	w.KubectlTells("describe cdpipeline web", "Hold", "spec.hold of the pipeline is true: set it to false to go on")
	change(t, w, "web", `{"hold":false}`)
	runsAre(t, w, "web", "app-1 Succeeded")
	runsAre(t, w, "below", "app-1 Succeeded")

	change(t, w, "web", `{"hold":true}`)
	build(w, "app-2")
	w.Succeed("app-2")
	stagesAre(w, "web", "app-2", "DEPLOY Held/Hold")
	require.NoError(t, controller.Kill())
	change(t, w, "web", `{"hold":false}`) // while nobody looks
	w.Start()
	runsAre(t, w, "below", "app-1 Succeeded", "app-2 Succeeded")
	w.Judge()
}

func TestAHoldKeepsWhatWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("web", given.Runs("for-ever")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running")
	build(w, "app-2")
	w.Succeed("app-2")
	stagesAre(w, "web", "app-2", "DEPLOY Held/Turn")
	change(t, w, "web", `{"hold":true}`)
	stagesAre(w, "web", "app-2", "DEPLOY Held/Hold")
	require.NoError(t, w.Cluster.Delete(t.Context(), workflowOf(t, w, "web", "app-1", "deploy")))
	runsAre(t, w, "web", "app-1 Error", "app-2 goes on")
	stagesAre(w, "web", "app-2", "DEPLOY Held/Hold")
	change(t, w, "web", `{"hold":false,"deploy":{"workflow":{"templateRef":{"name":"deploy"}}}}`)
	runsAre(t, w, "web", "app-1 Error", "app-2 Succeeded")
	w.Judge()
}

func TestASuspensionCancelsWhatWaitsAtOnce(t *testing.T) {
	t.Parallel()
	// Narrow: the gate counts the Workflows of all namespaces.
	w := newNarrowWorld(t, seldom, "MAX_ACTIVE_WORKFLOWS=1")
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("runs", given.Runs("for-ever"), given.Priority(1)),
		given.CdPipeline("pending"), given.CdPipeline("manual", given.ManualStage(trigger.StageDeploy)),
		given.CdPipeline("held", given.Held), given.CdPipeline("gone"), given.CdPipeline("below", given.BelowCd("pending")))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "runs", "app-1", "DEPLOY Running")
	build(w, "app-2")
	w.Succeed("app-2")
	stagesAre(w, "runs", "app-2", "DEPLOY Held/Turn")
	stagesAre(w, "pending", "app-1", "DEPLOY Pending")
	stagesAre(w, "pending", "app-2", "DEPLOY Held/Turn")
	for _, pipeline := range []string{"runs", "pending", "manual", "held"} {
		change(t, w, pipeline, `{"suspend":true}`)
	}
	w.Delete(given.CdPipeline("gone"))
	for _, pipeline := range []string{"pending", "held"} {
		for _, build := range []string{"app-1", "app-2"} {
			stagesAre(w, pipeline, build, "DEPLOY Cancelled/Suspended")
		}
	}
	stagesAre(w, "manual", "app-2", "DEPLOY Cancelled/Suspended")
	stagesAre(w, "gone", "app-2", "DEPLOY Cancelled/PipelineDeleted")
	stagesAre(w, "runs", "app-2", "DEPLOY Cancelled/Suspended")
	stagesAre(w, "runs", "app-1", "DEPLOY Running")
	w.DecidedIs("below", "Blocked/ParentNotSucceeded")
	w.KubectlTells("describe cdpipeline held", "CdPipeline held was suspended while it waited")
	require.NoError(t, w.Cluster.Delete(t.Context(), workflowOf(t, w, "runs", "app-1", "deploy")))
	runsAre(t, w, "runs", "app-1 Error", "app-2 Cancelled")
	w.Judge()
}
