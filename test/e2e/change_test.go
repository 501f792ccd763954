package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/given"
)

// One Workflow shuts the gate for all: whatever changes meanwhile acts at once.
func TestWhatChangesWhileARunWaitsBehindTheGateActsAtOnce(t *testing.T) {
	t.Parallel()
	// Narrow: the gate counts the Workflows of all namespaces.
	w := newNarrowWorld(t, seldom, "MAX_ACTIVE_WORKFLOWS=1")
	w.Create(forEver(), given.CiPipeline(given.CI), given.CdPipeline("runs", given.Runs("for-ever"), given.Priority(1)),
		given.CdPipeline("held"), given.CdPipeline("moved"), given.CdPipeline("urgent"), given.CdPipeline("manual", given.Manual))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "runs", "app-1", "DEPLOY Running")
	for _, pipeline := range []string{"held", "moved", "urgent"} {
		stagesAre(w, pipeline, "app-1", "DEPLOY Pending")
	}
	w.KubectlTells("get cdpipeline urgent -o wide", "TriggersPending")
	change(t, w, "held", `{"hold":true}`)
	stagesAre(w, "held", "app-1", "DEPLOY Held/Hold")
	w.KubectlTells("get cdpipeline held", "Hold", "Held")
	change(t, w, "moved", `{"parentRef":{"kind":"CdPipeline","name":"manual"}}`)
	stagesAre(w, "moved", "app-1", "DEPLOY Cancelled/ParentChanged")
	w.KubectlTells("describe cdpipeline moved", "CdPipeline moved hangs below CdPipeline manual now")
	change(t, w, "urgent", `{"priority":9}`)
	w.Eventually("the priority moves the task", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE owner_name = 'urgent' AND priority = 9 AND status = 'Pending'`) == 1
	})
	require.NoError(t, w.Cluster.Delete(t.Context(), workflowOf(t, w, "runs", "app-1", "deploy")))
	runsAre(t, w, "urgent", "app-1 Succeeded")
	change(t, w, "held", `{"hold":false}`)
	runsAre(t, w, "held", "app-1 Succeeded")
	w.Judge()
}

func TestChildrenThatAreDeletedMovedOrAddedWhileTheirParentRunsWaitNoLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.WorkflowTemplate("slow", 4*time.Second), given.CiPipeline(given.CI), given.CdPipeline("web", given.Runs("slow")),
		given.CdPipeline("gone", given.BelowCd("web")), given.CdPipeline("below-gone", given.BelowCd("gone")),
		given.CdPipeline("moved", given.BelowCd("web")), given.CdPipeline("below-moved", given.BelowCd("moved")), given.CdPipeline("manual", given.Manual))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Running")
	w.DecidedIs("below-gone", "Waiting/ParentRunning")
	w.Delete(given.CdPipeline("gone"))
	change(t, w, "moved", `{"parentRef":{"kind":"CdPipeline","name":"manual"}}`)
	w.Create(given.CdPipeline("added", given.BelowCd("web")))
	runsAre(t, w, "added", "app-1 Succeeded")
	w.DecidedIs("gone", "Skipped/PipelineDeleted")
	for _, pipeline := range []string{"below-gone", "moved", "below-moved"} {
		w.DecidedIs(pipeline, "Skipped/ParentChanged")
	}
	w.Judge()
}
