package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAnAPIServerWithThirtyPercentErrorsLosesAndDoublesNothing(t *testing.T) {
	long(t)
	t.Parallel()
	builds, children := 3, 40
	w := newWorld(t)
	recordHistory(t, w)
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	proxy, _ := proxied(t, w)
	w.Eventually("its caches are filled", func(ctx context.Context) bool { return w.Ready(ctx) == children })
	proxy.Break(thirtyPercent())
	for i := range builds {
		w.Create(given.CiBuild(fmt.Sprintf("b%d", i)))
		w.Succeed(fmt.Sprintf("b%d", i))
	}
	began := time.Now()
	w.RowsAre(builds*children, "Succeeded")
	t.Logf("all succeeded after %s", time.Since(began))
	w.Eventually("the status of every build", func(ctx context.Context) bool {
		for i := range builds {
			triggers := w.Build(ctx, fmt.Sprintf("b%d", i)).Status.Triggers
			if triggers == nil || int(triggers.Succeeded) != children {
				return false
			}
		}
		return true
	})
	t.Logf("and the builds say so after %s", time.Since(began))
	require.Len(t, w.Workflows(), builds*children)
	requireFaults(t, proxy)
	requireJitter(t, history(t, w))
	w.Judge()
}

// together is how many creates fail one after the other at first.
const together = 8

// thirtyPercent gives errors to a share of all requests, and to the first creates.
func thirtyPercent() fault.Rule {
	share := fault.Share(0.3, fault.TooManyRequests, fault.InternalError, fault.Timeout, fault.LostReply)
	var creates atomic.Int64
	return func(ctx context.Context, request fault.Request) fault.Fault {
		if request.Verb == "create" && request.Resource == "workflows" && creates.Add(1) <= together {
			return fault.InternalError
		}
		return share(ctx, request)
	}
}

// requireFaults wants every fault to have happened, to triggers too.
func requireFaults(t *testing.T, proxy *fault.APIServer) {
	t.Helper()
	all, creates := map[fault.Fault]int{}, 0
	for _, request := range proxy.Requests() {
		all[request.Fault]++
		if request.Fault != fault.None && request.Verb == "create" && request.Resource == "workflows" {
			creates++
		}
	}
	t.Logf("requests by fault: %v; %d creates of Workflows failed", all, creates)
	for what := fault.None; what <= fault.LostReply; what++ {
		require.NotZero(t, all[what], "no %s", what)
	}
	require.NotZero(t, creates)
}

// requireJitter wants rows that have failed equally often to be left alone for times
// that differ: between half and all of what the attempt's back-off is.
func requireJitter(t *testing.T, changes []change) {
	t.Helper()
	const first = 500 * time.Millisecond
	var delays []time.Duration
	for _, one := range changes {
		if one.Before == "Submitting" && one.After == "Pending" && one.Attempt == 1 && one.Delay > 0 {
			delays = append(delays, one.Delay)
		}
	}
	slices.Sort(delays)
	t.Logf("back-off after the first attempt: %v", delays)
	require.GreaterOrEqual(t, len(delays), together)
	require.Greater(t, delays[len(delays)-1]-delays[0], first/20, "they return in lockstep")
	for _, delay := range delays {
		require.InDelta(t, 3*first/4, delay, float64(first/4+time.Millisecond))
	}
}
