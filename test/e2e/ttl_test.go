package e2e

import (
	"context"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/test/given"
)

func TestArgoDeletesAWorkflowAfterItsTimeAndTheRunStaysSucceeded(t *testing.T) {
	t.Parallel()
	// Narrow: the time to live would be that of the Workflows of all namespaces.
	w := newNarrowWorld(t, seldom, "WORKFLOW_TTL=1s")
	own := given.WorkflowTemplate("own", time.Second)
	own.Spec.TTLStrategy = &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](3600)}
	w.Create(own, given.CiPipeline(given.CI), given.CiBuild("app-1"))
	w.CreateFamily(given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("api", given.Runs("own"))))
	w.Start()
	w.Succeed("app-1")
	runsAre(t, w, "api", "app-1 Succeeded")
	w.Eventually("only the Workflow whose template sets a time of its own is left", func(context.Context) bool { return len(w.Workflows()) == 1 })
	require.Equal(t, "own", w.Workflows()[0].Spec.WorkflowTemplateRef.Name)
	runsAre(t, w, "web", "app-1 Succeeded")
	w.KubectlTells("get cdpipeline web", "Succeeded")
	w.MadeAre(2)
	w.Judge()
}
