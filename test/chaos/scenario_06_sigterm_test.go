package chaos

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// slowCreates holds each create of a Workflow up before it comes to an end, and
// counts them.
type slowCreates struct {
	hold  time.Duration
	end   fault.Fault
	begun atomic.Int64
	// unseen keeps what becomes of Workflows from the controller, so that nothing but
	// the answers to its creates moves their rows.
	unseen bool
}

func (s *slowCreates) rule(ctx context.Context, request fault.Request) fault.Fault {
	if request.Verb != "create" || request.Resource != "workflows" {
		return fault.None
	}
	s.begun.Add(1)
	timer := time.NewTimer(s.hold)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return s.end
}

// terminated sends SIGTERM while the pool is full and rows wait, and returns how long
// the controller takes to end.
func terminated(t *testing.T, w *world.World, creates *slowCreates, children int, patience time.Duration) time.Duration {
	t.Helper()
	const limit = 5
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
	w.CreateFamily(given.CdPipelines(children, "cd"))
	proxy, controller := proxied(t, w)
	if creates.unseen {
		proxy.Disturb("workflows", fault.Drop(1))
	}
	proxy.Break(creates.rule)
	w.Succeed("b1")
	w.Eventually("a full pool", func(context.Context) bool { return creates.begun.Load() == limit })
	require.Positive(t, w.Rows("Pending"), "nothing is left to claim")

	asked := time.Now()
	require.NoError(t, controller.Signal(syscall.SIGTERM))
	took := exited(t, controller, patience)
	t.Logf("ended %s after SIGTERM", took.Round(time.Millisecond))
	require.EqualValues(t, limit, creates.begun.Load(), "nothing more is begun")
	const underWay = 200 * time.Millisecond // of a claim that was sent before
	require.Zero(t, w.Count(`SELECT count(*) FROM oracle_transition WHERE after = 'Submitting' AND at > $1`, asked.Add(underWay)), "claims after SIGTERM")
	require.Zero(t, w.Rows("Submitting"), "every claim is completed or given back")
	return took
}

func TestSIGTERMLetsWhatIsInFlightFinishAndClaimsNothingMore(t *testing.T) {
	t.Parallel()
	const children, grace = 60, 15 * time.Second
	w := newWorld(t, "SHUTDOWN_GRACE_PERIOD=15s", "TRIGGER_LEASE=20s")
	terminated(t, w, &slowCreates{hold: 3 * time.Second}, children, grace)
	require.Len(t, w.Workflows(), 5, "what was in flight is finished")
	require.Equal(t, children-5, w.Rows("Pending"))
	w.Start()
	w.RowsAre(children, "Succeeded")
	w.Judge()
}

func TestSIGTERMReleasesWhatDoesNotFinishWithinTheGracePeriod(t *testing.T) {
	t.Parallel()
	const children, grace, margin = 60, 2 * time.Second, 3 * time.Second
	w := newWorld(t, "SHUTDOWN_GRACE_PERIOD=2s", "TRIGGER_LEASE=60s")
	took := terminated(t, w, &slowCreates{end: fault.LostReply, unseen: true}, children, grace+margin)
	require.Greater(t, took, grace/2, "it does not wait")
	require.Len(t, w.Workflows(), 5, "the replies alone were lost")
	require.Equal(t, children, w.Rows("Pending"))
	w.Start()
	w.RowsAre(children, "Succeeded")
	require.Len(t, w.Workflows(), children)
	w.Judge()
}
