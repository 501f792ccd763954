package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
	"github.com/penstock-cd/penstock/test/world"
)

const (
	// mostMemory is what the real binary may ever hold: the chart gives it 256 MiB.
	mostMemory = 200 << 20
	// planningPatience bounds the planning of large builds, on two cores that do everything.
	planningPatience = 10 * time.Minute
	// other is the CiPipeline of the build that is small.
	other = "other"
	// fast has no status wait for the API's rate.
	fast = "KUBE_API_QPS=2000"
)

// large is a size that one transaction can't plan.
type large struct {
	artifacts int
	family    given.Family
}

// filtered are so many children, whose filters leave one artifact for one in ten of them: what
// is decided is large, and not what runs.
func filtered(ci string, children int) given.Family {
	return given.CdPipelines(children, ci+"-web", given.BelowCi(ci), unordered,
		given.Filter("artifact.image.contains('/app-000:') && pipeline.name.endsWith('0')"))
}

// deep is a child with so many pipelines below it, in chains of ten.
func deep(ci string, descendants int) given.Family {
	family := given.FamilyOf(given.CdPipeline(ci+"-root", given.BelowCi(ci)))
	for i := range descendants {
		parent := ci + "-root"
		if i%10 > 0 {
			parent = fmt.Sprintf("%s-deep-%d", ci, i-1)
		}
		family = append(family, *given.CdPipeline(fmt.Sprintf("%s-deep-%d", ci, i), given.BelowCd(parent)))
	}
	return family
}

func TestTwoLargeBuildsAtOnceArePlannedInBoundedMemoryWhileOthersGoOn(t *testing.T) {
	t.Run("artifacts and filtered children", func(t *testing.T) {
		planTwice(t, newWorld(t, fast), func(ci string) large { return large{256, filtered(ci, sized(256, 20))} })
	})
	t.Run("artifacts and pipelines far below", func(t *testing.T) {
		long(t)
		planTwice(t, newQuietWorld(t, fast), func(ci string) large { return large{40, deep(ci, 5000)} })
	})
}

func planTwice(t *testing.T, w *world.World, size func(ci string) large) {
	t.Helper()
	pairs, pipelines := 0, 3
	cis := []string{"one", "two"}
	var artifacts []v1alpha1.Artifact
	for _, ci := range cis {
		large := size(ci)
		w.CreateFamily(large.family)
		w.Create(given.CiPipeline(ci), given.CiBuild("large-"+ci, given.BuildOf(ci)))
		artifacts = given.Artifacts(large.artifacts)
		pairs, pipelines = pairs+len(artifacts)*len(large.family), pipelines+len(large.family)
	}
	w.CreateFamily(given.CdPipelines(3, "small", given.BelowCi(other)))
	w.Create(given.CiPipeline(other), given.CiBuild("small-1", given.BuildOf(other)))
	// The detector of races takes several times the memory.
	controller := w.StartWith(env.ControllerOptions{Binary: "penstock"})
	settled(w, pipelines)

	began := time.Now()
	for _, ci := range cis {
		w.Finish("large-"+ci, v1alpha1.BuildSucceeded, artifacts...)
	}
	w.Eventually("planning is under way", func(context.Context) bool { return w.Count(`SELECT count(*) FROM trigger_decision`) > 0 })
	triggersSoon(t, w)
	within(t, planningPatience, "the plans", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM ci_build WHERE planned_at IS NOT NULL`) == len(cis)+1
	})
	took := time.Since(began)
	memory, err := measure.MemoryOf(controller.PID())
	require.NoError(t, err)
	t.Logf("%d pairs planned in %s; peak memory %d MiB", pairs, took.Round(time.Millisecond), memory.Peak>>20)
	require.LessOrEqual(t, memory.Peak, int64(mostMemory))
	require.Equal(t, pairs+3, w.Count(`SELECT count(*) FROM trigger_decision`))
	require.Zero(t, w.Count(`SELECT count(*) FROM plan`))
	w.Judge()
}

// triggersSoon finishes a build of three, and has its Workflows made in time.
func triggersSoon(t *testing.T, w *world.World) {
	t.Helper()
	began, cpu := time.Now(), cpushare.Start()
	w.Succeed("small-1")
	var creates audit.Log
	w.Eventually("the small build's Workflows", func(context.Context) bool {
		creates = createsOf(w, "small-")
		return len(creates) == 3
	})
	left, took := cpu.Left(), creates.Last().Sub(began)
	t.Logf("3 Workflows in %s, meanwhile", took.Round(time.Millisecond))
	require.LessOrEqual(t, took, cpushare.Scale(mostSmall, left))
}

// The second controller goes on with the chunk behind the last that was committed.
func TestAKillBetweenTwoChunksLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	moments := []string{
		string(failpoint.PlanBeforeChunk) + "=2*kill", string(failpoint.PlanBeforeChunk) + "=1*kill", string(failpoint.PlanAfterChunk) + "=1*kill",
	}
	for _, at := range moments[:sized(len(moments), 1)] {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			const artifacts, children = 256, 20
			w := newWorld(t, samePod)
			w.CreateFamily(filtered(given.CI, children))
			w.CreateFamily(given.FamilyOf(given.CdPipeline("below", given.BelowCd(given.CI+"-web-000"))))
			w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
			broken := breaking(w, at)
			require.NoError(t, broken.WaitReady(t.Context()))
			w.Finish("b1", v1alpha1.BuildSucceeded, given.Artifacts(artifacts)...)
			require.True(t, killedWithin(t, broken, world.Patience), "the step is never passed")
			require.Zero(t, w.Count(`SELECT count(*) FROM ci_build WHERE planned_at IS NOT NULL`))
			w.Start()
			w.Eventually("the plan", func(context.Context) bool {
				return w.Count(`SELECT count(*) FROM ci_build WHERE planned_at IS NOT NULL`) == 1
			})
			require.Equal(t, artifacts*(children+1), w.Count(`SELECT count(*) FROM trigger_decision`))
			w.Eventually("the decision on what is below", func(context.Context) bool {
				return w.Count(`SELECT count(*) FROM trigger_decision WHERE outcome = 'Waiting'`) == 0
			})
			runs := w.Count(`SELECT count(*) FROM trigger_decision WHERE outcome = 'Triggered'`)
			require.Positive(t, runs)
			w.RowsAre(runs, "Succeeded")
			require.Len(t, w.Workflows(), runs)
			w.Judge()
		})
	}
}
