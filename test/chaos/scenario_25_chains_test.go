package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
	"github.com/penstock-cd/penstock/test/world"
)

// alone is the CiPipeline above the one chain that runs.
const alone = "alone"

// chains are so many pairs of staging and production, of which the first alone hangs below
// a CiPipeline of its own.
func chains(pairs int) given.Family {
	staging := given.CdPipelines(pairs, "staging")
	given.BelowCi(alone)(&staging[0])
	family := staging
	for i := range staging {
		family = append(family, *given.CdPipeline(fmt.Sprintf("production-%03d", i), given.BelowCd(staging[i].Name)))
	}
	return family
}

// lists are the requests of Penstock that read CdPipelines of the namespace, since its cache
// has read them.
func lists(w *world.World, since time.Time) (found audit.Log) {
	for _, event := range w.Log().Since(since) {
		if event.Resource == "cdpipelines" && event.Verb == "list" {
			found = append(found, event)
		}
	}
	return found
}

func TestOneEndedStageReadsWhatHangsBelowItAndNotItsNamespace(t *testing.T) {
	pairs := sized(5000, 200)
	w := newWorld(t, fast)
	w.CreateFamily(chains(pairs))
	w.Create(given.CiPipeline(alone), given.CiPipeline(given.CI))
	// The detector of races takes several times the memory.
	controller := w.StartWith(env.ControllerOptions{Binary: "penstock"})
	settled(w, 2*pairs)
	before, since := resident(t, controller), time.Now()

	const builds = 3
	for i := range builds {
		name := fmt.Sprintf("b%d", i)
		w.Create(given.CiBuild(name, given.BuildOf(alone)))
		w.Finish(name, v1alpha1.BuildSucceeded, given.Artifacts(1)...)
		w.Eventually("the chain's end", func(context.Context) bool {
			return w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome = 'Succeeded'`) == 2*(i+1)
		})
	}
	asked, after := lists(w, since), resident(t, controller)
	t.Logf("%d lists for %d builds; memory %d MiB, then %d MiB", len(asked), builds, before>>20, after>>20)
	require.LessOrEqual(t, len(asked), 3*builds, "one list of children for each build and for each of its two ended runs")
	require.Less(t, after-before, int64(spareMemory), "memory grows with the namespace")
	w.Judge()
}

// resident is what a controller holds in memory now.
func resident(t *testing.T, controller *world.Controller) int64 {
	t.Helper()
	memory, err := measure.MemoryOf(controller.PID())
	require.NoError(t, err)
	return memory.Resident
}
