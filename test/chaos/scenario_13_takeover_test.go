package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// takeover is what may pass from the death of a leader until a replica that stood by
// has triggered something.
const takeover = 10 * time.Second

func TestAReplicaThatStandsByTakesOverFromALeaderThatDied(t *testing.T) {
	long(t)
	const children, trials = 65, 20
	w := newQuietWorld(t, "LEADER_ELECT=true", "TRIGGER_LEASE=20s", "KUBE_API_QPS=20", "KUBE_API_BURST=1")
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	leader := w.Start("POD_UID=pod-0")
	var slowest time.Duration
	for i := range trials {
		w.Eventually("somebody leads", func(ctx context.Context) bool { return leader.Metric(ctx, "leader_election_master_status") == 1 })
		standby := w.Start(fmt.Sprintf("POD_UID=pod-%d", i+1))
		build := fmt.Sprintf("b%d", i)
		w.Create(given.CiBuild(build))
		before := w.Rows("Submitted")
		w.Succeed(build)
		w.Eventually("it is in the middle", func(context.Context) bool { return w.Rows("Submitted") > before+children/4 })
		require.NoError(t, leader.Kill())
		died, cpu := time.Now(), cpushare.Start()
		left := w.Rows("Submitted")
		require.Less(t, left, before+children, "nothing is left to trigger")
		w.Eventually("the first trigger of another", func(context.Context) bool { return w.Rows("Submitted") > left })
		first := time.Since(died)
		require.NoError(t, inTime(first, takeover, cpu))
		slowest = max(slowest, first)
		w.RowsAre(before+children, "Submitted")
		leader = standby
	}
	t.Logf("the slowest of %d took over after %s", trials, slowest.Round(time.Millisecond))
	w.Judge()
}

// One that restarts in the same pod does not wait for its own Lease, nor for its own claims.
func TestALeaderThatRestartsInItsPodTakesItsOwnBackAtOnce(t *testing.T) {
	long(t)
	const children, trials, restart = 40, 100, 3 * time.Second
	w := newQuietWorld(t, "LEADER_ELECT=true", "TRIGGER_LEASE=20s", "KUBE_API_QPS=40", "KUBE_API_BURST=1", "POD_UID=pod")
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	start := func() *world.Controller { return w.Launch(env.ControllerOptions{Binary: "penstock"}) }
	leader := start()
	var slowest time.Duration
	for i := range trials {
		build := fmt.Sprintf("b%d", i)
		w.Create(given.CiBuild(build))
		before := w.Rows("Submitted")
		w.Succeed(build)
		w.Eventually("it is in the middle", func(context.Context) bool { return w.Rows("Submitted") > before+children/4 })
		require.NoError(t, leader.Kill())
		left, claimed := w.Rows("Submitted"), w.Rows("Submitting")
		died, cpu := time.Now(), cpushare.Start()
		leader = start()
		w.Eventually("it goes on", func(context.Context) bool { return w.Rows("Submitted") > left })
		took := time.Since(died)
		require.NoError(t, inTime(took, restart, cpu), "%d were claimed", claimed)
		slowest = max(slowest, took)
		w.RowsAre(before+children, "Submitted")
	}
	t.Logf("the slowest of %d restarts went on after %s", trials, slowest.Round(time.Millisecond))
	w.Judge()
}
