package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/oracle"
)

// fifty creates a CiPipeline with 50 children and a build of it.
func fifty(w *world) {
	w.create(ciPipeline("app"))
	for i := range 50 {
		w.create(child(fmt.Sprintf("cd-%02d", i)))
	}
	w.build("app-1", "app")
}

func TestABuildWithFiftyChildrenTriggersEachOnceHoweverOftenItIsReconciled(t *testing.T) {
	w := newWorld(t)
	fifty(w)
	w.start()
	w.succeed("app-1")
	w.rowsAre(50, "Succeeded")
	require.Len(t, w.workflows(), 50)
	w.eventually("status says that all succeeded", func(ctx context.Context) bool {
		build := w.getBuild(ctx, "app-1")
		return build.Status.Triggers != nil && build.Status.Triggers.Succeeded == 50 &&
			meta.IsStatusConditionTrue(build.Status.Conditions, v1alpha1.ConditionTriggered)
	})
	w.eventually("every pipeline tells of its run", func(ctx context.Context) bool { return w.lastPhases(ctx)["Succeeded"] == 50 })
	build := w.getBuild(t.Context(), "app-1")
	require.Equal(t, build.Generation, build.Status.ObservedGeneration)

	before := w.writes()
	for i := range 100 {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, i)
		require.NoError(t, w.cluster.Patch(t.Context(), build, client.RawPatch(types.MergePatchType, []byte(patch))))
	}
	w.rested()
	require.Equal(t, before, w.writes(), "reconciling a finished build must write nothing")
	require.Len(t, w.workflows(), 50)
	require.Equal(t, 50, w.count(`SELECT count(*) FROM cd_workflow_runner`))
	w.judge()
}

// rested returns after two sweeps, by the controller's own count of the builds that
// it has looked at: what it wanted to write is written.
func (w *world) rested() {
	w.t.Helper()
	deadline := time.Now().Add(12 * time.Second)
	w.eventually("two sweeps", func(context.Context) bool { return time.Now().After(deadline) })
}

func TestAControllerKilledFiveTimesEndsWithFiftyAndFifty(t *testing.T) {
	w := newWorld(t, "KUBE_API_QPS=25")
	fifty(w)
	w.start()
	w.succeed("app-1")
	for range 5 {
		moment := time.Duration(rand.N(500)+50) * time.Millisecond
		wakeAt := time.Now().Add(moment)
		w.eventually("a random moment", func(context.Context) bool { return time.Now().After(wakeAt) })
		require.NoError(t, w.controller.Kill())
		w.start()
	}
	w.rowsAre(50, "Succeeded")
	require.Len(t, w.workflows(), 50)
	require.Equal(t, 50, w.count(`SELECT count(*) FROM cd_workflow_runner`))
	w.judge()
}

func TestStagesFollowEachOtherAndChildrenFollowTheLast(t *testing.T) {
	w := newWorld(t)
	staged := func(p *v1alpha1.CdPipeline) { p.Spec.PreDeploy, p.Spec.PostDeploy = stage("deploy"), stage("pod") }
	byHand := func(p *v1alpha1.CdPipeline) {
		p.Spec.PostDeploy = stage("deploy")
		p.Spec.PostDeploy.Trigger = v1alpha1.TriggerManual
	}
	w.create(ciPipeline("app"), child("staged", staged), child("grandchild", below("staged")),
		child("great-grandchild", below("grandchild"), filter(`artifact.image == "app:1"`)), child("by-hand", byHand), child("below-by-hand", below("by-hand")))
	w.build("app-1", "app")
	w.start()
	w.succeed("app-1")
	w.rowsAre(6, "Succeeded")
	require.NoError(t, oracle.Quiesce(t.Context(), w.database, w.cluster))
	require.Equal(t, "Triggered/Triggered", w.decided("great-grandchild"))
	w.decidedIs("by-hand", "Waiting/ManualStage")
	require.Equal(t, "Waiting/ParentRunning", w.decided("below-by-hand"))
	require.Equal(t, 3, w.count(`SELECT count(*) FROM cd_workflow WHERE outcome = 'Succeeded'`))
	require.Equal(t, 1, w.count(`SELECT count(*) FROM cd_workflow WHERE outcome IS NULL`))
	w.judge()
}

func TestEveryChildIsToldWhyItWasNotTriggered(t *testing.T) {
	w := newWorld(t)
	w.create(ciPipeline("app"),
		child("suspended", func(p *v1alpha1.CdPipeline) { p.Spec.Suspend = true }),
		child("manual", func(p *v1alpha1.CdPipeline) { p.Spec.Trigger = v1alpha1.TriggerManual }),
		child("filtered", filter(`artifact.image.startsWith("other")`)),
		child("invalid", filter(`artifact.nothing ==`)),
		child("failing", filter(`artifact.image.split("/")[7] == "x"`)),
		child("expensive", filter(`[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, a+b+c+d+e > 0)))))`)),
		child("below-suspended", below("suspended")),
		child("fine"))
	w.build("app-1", "app")
	w.start()
	w.succeed("app-1")
	w.rowsAre(1, "Succeeded")
	for pipeline, want := range map[string]string{
		"suspended": "Skipped/Suspended", "manual": "Skipped/ManualTrigger", "filtered": "Skipped/FilteredOut",
		"invalid": "Blocked/InvalidFilter", "failing": "Blocked/FilterFailed", "expensive": "Blocked/FilterTooExpensive",
		"below-suspended": "Skipped/ParentNotTriggered", "fine": "Triggered/Triggered",
	} {
		require.Equal(t, want, w.decided(pipeline), pipeline)
	}
	w.kubectlTells("describe cibuild app-1", "Skipped/Suspended (suspended)", "Blocked/InvalidFilter (invalid)", "1 triggered", "AllTriggered")
	w.kubectlTells("get cibuilds", "app-1", "Succeeded", "app:1", "1/1")
	w.kubectlTells("describe cdpipeline filtered", "FilteredOut", "build app-1: spec.filter is false")
	w.kubectlTells("describe cdpipeline invalid", "InvalidFilter", "spec.filter", "Warning")
	w.kubectlTells("get cdpipelines", "fine", "app", "Automatic", "Succeeded")
	w.judge()
}

// kubectlTells waits until kubectl, run as a person would, prints all the words.
func (w *world) kubectlTells(command string, words ...string) {
	w.t.Helper()
	var printed string
	w.eventually(fmt.Sprintf("kubectl %s tells %q", command, words), func(ctx context.Context) bool {
		printed, _ = local.Kubectl(ctx, append([]string{"-n", w.namespace}, strings.Fields(command)...)...)
		for _, word := range words {
			if !strings.Contains(printed, word) {
				return false
			}
		}
		return true
	})
}

func (w *world) getBuild(ctx context.Context, name string) *v1alpha1.CiBuild {
	build := &v1alpha1.CiBuild{}
	if err := w.cluster.Get(ctx, client.ObjectKey{Name: name}, build); err != nil {
		return &v1alpha1.CiBuild{}
	}
	return build
}

func (w *world) lastPhases(ctx context.Context) map[string]int {
	var list v1alpha1.CdPipelineList
	phases := map[string]int{}
	if err := w.cluster.List(ctx, &list); err != nil {
		return phases
	}
	for _, pipeline := range list.Items {
		if pipeline.Status.LastRun != nil {
			phases[pipeline.Status.LastRun.Phase]++
		}
	}
	return phases
}
