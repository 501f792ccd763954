package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
	"github.com/penstock-cd/penstock/test/world"
)

// fifty creates a CiPipeline with 50 children and a build of it.
func fifty(w *world.World) {
	w.CreateFamily(given.CdPipelines(50, "cd"))
	w.Create(given.CiPipeline(given.CI), given.CiBuild("app-1"))
}

func TestAControllerKilledFiveTimesEndsWithFiftyAndFifty(t *testing.T) {
	w := newWorld(t, "KUBE_API_QPS=25") // so that the kills come while tasks wait
	fifty(w)
	controller := w.Start()
	w.Succeed("app-1")
	for range 5 {
		moment := time.Duration(rand.N(500)+50) * time.Millisecond
		wakeAt := time.Now().Add(moment)
		w.Eventually("a random moment", func(context.Context) bool { return time.Now().After(wakeAt) })
		require.NoError(t, controller.Kill())
		controller = w.Start()
	}
	w.RowsAre(50, "Succeeded")
	require.Len(t, w.Workflows(), 50)
	require.Equal(t, 50, w.Count(`SELECT count(*) FROM task`))
	w.Judge()
}

func TestStagesFollowEachOtherAndChildrenFollowTheLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	endsInPod := func(p *v1alpha1.CdPipeline) { p.Spec.PostDeploy.Workflow.TemplateRef.Name = "pod" }
	thisImage := given.Filter(fmt.Sprintf("artifact.image == %q", given.Artifact(0).Image))
	w.Create(given.CiPipeline(given.CI),
		given.CdPipeline("staged", given.WithPre, given.WithPost, endsInPod),
		given.CdPipeline("grandchild", given.BelowCd("staged")),
		given.CdPipeline("great-grandchild", given.BelowCd("grandchild"), thisImage),
		given.CdPipeline("by-hand", given.WithPost, given.ManualStage(trigger.StagePost)),
		given.CdPipeline("below-by-hand", given.BelowCd("by-hand")))
	w.Create(given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.RowsAre(6, "Succeeded")
	require.NoError(t, oracle.Quiesce(t.Context(), w.Database, w.Cluster))
	require.Equal(t, "Triggered/Triggered", w.Decided("great-grandchild"))
	require.Equal(t, "Triggered/Triggered", w.Decided("by-hand"))
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM task WHERE owner_name = 'by-hand' AND status = 'Held' AND reason = 'Person'`))
	require.Equal(t, "Waiting/ParentRunning", w.Decided("below-by-hand"))
	w.KubectlTells("describe cdpipeline by-hand", "Person", "stage POST of run", "create a RunRequest with action Resume to go on")
	w.KubectlTells("describe cibuild app-1", "1 run waits for a person (RunRequest with action Resume) (by-hand)")
	require.Equal(t, 3, w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome = 'Succeeded'`))
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome IS NULL`))
	w.Judge()
}

func TestEveryChildIsToldWhyItWasNotTriggered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI),
		given.CdPipeline("suspended", given.Suspended),
		given.CdPipeline("manual", given.Manual),
		given.CdPipeline("filtered", given.Filter(`artifact.image.startsWith("other")`)),
		given.CdPipeline("invalid", given.Filter(`artifact.nothing ==`)),
		given.CdPipeline("failing", given.Filter(`artifact.image.split("/")[7] == "x"`)),
		given.CdPipeline("expensive", given.Filter(`[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, a+b+c+d+e > 0)))))`)),
		given.CdPipeline("below-suspended", given.BelowCd("suspended")),
		given.CdPipeline("fine"))
	w.Create(given.CiBuild("app-1"))
	w.Start()
	w.Succeed("app-1")
	w.RowsAre(1, "Succeeded")
	for pipeline, want := range map[string]string{
		"suspended": "Skipped/Suspended", "manual": "Skipped/ManualTrigger", "filtered": "Skipped/FilteredOut",
		"invalid": "Blocked/InvalidFilter", "failing": "Blocked/FilterFailed", "expensive": "Blocked/FilterTooExpensive",
		"below-suspended": "Skipped/ParentNotTriggered", "fine": "Triggered/Triggered",
	} {
		require.Equal(t, want, w.Decided(pipeline), pipeline)
	}
	w.KubectlTells("describe cibuild app-1", "Skipped/Suspended (suspended)", "Blocked/InvalidFilter (invalid)", "1 triggered", "AllTriggered")
	w.KubectlTells("get cibuilds", "app-1", "Succeeded", given.Artifact(0).Image, "1/1")
	w.KubectlTells("describe cdpipeline filtered", "FilteredOut", "build app-1: spec.filter is false")
	w.KubectlTells("describe cdpipeline invalid", "InvalidFilter", "spec.filter", "Warning")
	w.KubectlTells("get cdpipelines", "fine", given.CI, "Ready", "Succeeded")
	w.Judge()
}
