package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// mostWrites is how many API writes each trigger may cost until the last Workflow
// exists, status included.
const mostWrites = 1.1

func TestTwoHundredBuildsAtOnceStayWithinTheirLimits(t *testing.T) {
	long(t)
	const families, children = 20, 10
	builds := 10 // of each family
	w := newQuietWorld(t, "KUBE_API_QPS=1000", "KUBE_API_BURST=20", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=20", "DATABASE_MAX_CONNS=6")
	var names []string
	for f := range families {
		ci := fmt.Sprintf("ci-%d", f)
		w.Create(given.CiPipeline(ci))
		w.CreateFamily(given.CdPipelines(children, fmt.Sprintf("cd-%d", f), given.BelowCi(ci), unordered))
		for b := range builds {
			names = append(names, fmt.Sprintf("b-%d-%d", f, b))
			w.Create(given.CiBuild(names[len(names)-1], given.BuildOf(ci)))
		}
	}
	w.Start()
	settled(w, families*children)

	began := time.Now()
	succeedAtOnce(t, w, names)
	triggers := len(names) * children
	w.RowsAre(triggers, "Submitted")
	w.Judge()

	log := w.Log().Since(began)
	creates := log.Creates()
	require.Len(t, creates, triggers)
	require.Greater(t, creates.MostAtOnce(), 1, "one at a time proves nothing")
	writes := float64(len(log.Until(creates.Last()).Writes())) / float64(triggers)
	require.LessOrEqual(t, writes, mostWrites, "API writes for each trigger")
	t.Logf("%d triggers in %s, %d at once, %.3f API writes each",
		triggers, creates.Last().Sub(began).Round(time.Millisecond), creates.MostAtOnce(), writes)
}

// settled waits until the status of so many pipelines is written.
func settled(w *world.World, pipelines int) {
	w.Eventually("the status of every pipeline", func(ctx context.Context) bool { return w.Ready(ctx) == pipelines })
}

// succeedAtOnce finishes the builds, several at a time.
func succeedAtOnce(t *testing.T, w *world.World, builds []string) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for _, build := range builds {
		group.Go(func() error { return w.TrySucceed(t.Context(), build) })
	}
	require.NoError(t, group.Wait())
}
