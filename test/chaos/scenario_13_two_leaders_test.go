package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

func TestTwoLeadersShareTheQueueAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const children = 10
	length := time.Duration(sized(60, 10)) * time.Second
	w := newWorld(t)
	recordHistory(t, w)
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	w.Start()
	w.Start()
	builds := 0
	for began := time.Now(); time.Since(began) < length; builds++ {
		w.Create(given.CiBuild(fmt.Sprintf("b%d", builds)))
		w.Succeed(fmt.Sprintf("b%d", builds))
		w.Eventually("little is waiting", func(context.Context) bool { return w.Rows("Pending")+w.Rows("Submitting") < 2*children })
	}
	w.RowsAre(builds*children, "Succeeded")
	claims := map[string]int{}
	for _, one := range history(t, w) {
		if one.Before == "Pending" && one.After == "Submitting" {
			claims[one.Worker]++
		}
	}
	t.Logf("%d builds; claims by each: %v", builds, claims)
	require.Len(t, claims, 2, "both must have worked")
	w.MadeAre(builds * children)
	w.Judge()
}

// frozen is a leader that stops in the middle of its submissions.
type frozen struct {
	*world.Controller
	role     string
	database *fault.Postgres
	creates  *fault.Gate
	// tried counts the completions that it has asked the database for.
	tried atomic.Int64
}

// startFrozen starts a leader, has it claim every row of a build, and stops it while
// it waits for the answers to its creates.
func startFrozen(t *testing.T, w *world.World, children int, settings ...string) *frozen {
	t.Helper()
	f := &frozen{creates: &fault.Gate{}}
	var address string
	address, f.role = asSomebody(t, w, local.Postgres)
	var err error
	f.database, err = fault.NewPostgres(address)
	require.NoError(t, err)
	t.Cleanup(f.database.Close)
	cluster := heldCreates(t, f.creates, anything, true)
	f.Controller = w.StartWith(env.ControllerOptions{
		DatabaseURL: f.database.URL, Env: settings, Cluster: cluster.Through(local.ConfigFor(env.Penstock)),
	})
	f.creates.Shut()
	w.Eventually("it leads", func(ctx context.Context) bool { return w.Ready(ctx) == children })
	w.Succeed("b1")
	w.Eventually("it has claimed all", func(context.Context) bool { return w.Rows("Submitting") == children && creates(cluster, anything) > 0 })
	require.NoError(t, f.Signal(syscall.SIGSTOP))
	f.database.Judge(func(exchange fault.Exchange) fault.Fate {
		if exchange.Name() == "CompleteTasks" {
			f.tried.Add(1)
		}
		return fault.Deliver
	})
	return f
}

// heldCreates is a proxy that holds up the creates of some Workflows while the gate is
// shut, and passes them on in the end: whoever still waits, or those alone whose client
// does.
func heldCreates(t *testing.T, gate *fault.Gate, which func(fault.Request) bool, whoeverWaits bool) *fault.APIServer {
	t.Helper()
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(func() {
		gate.Open()
		proxy.Close()
	})
	proxy.Break(func(ctx context.Context, request fault.Request) fault.Fault {
		if request.Verb == "create" && request.Resource == "workflows" && which(request) {
			if whoeverWaits {
				ctx = context.Background()
			}
			if gate.Pass(ctx) != nil {
				return fault.InternalError // nobody is told
			}
		}
		return fault.None
	})
	return proxy
}

// creates counts the creates of some Workflows that a proxy has seen.
func creates(proxy *fault.APIServer, which func(fault.Request) bool) (count int) {
	for _, request := range proxy.Requests() {
		if request.Verb == "create" && request.Resource == "workflows" && which(request) {
			count++
		}
	}
	return count
}

func anything(fault.Request) bool { return true }

// The row of one Workflow is still being submitted by the second leader when the first
// goes on, so that there is something that the first could spoil.
func TestALeaderThatWasStoppedAndGoesOnWritesNothing(t *testing.T) {
	long(t)
	t.Parallel()
	const children = 5
	length := time.Duration(60) * time.Second
	for sentence, elects := range map[string]bool{"and knows that it leads no more": true, "and believes that it leads": false} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "TRIGGER_LEASE=20s", fmt.Sprintf("LEADER_ELECT=%t", elects))
			recordHistory(t, w)
			w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
			w.CreateFamily(given.CdPipelines(children, "cd", unordered))
			first := startFrozen(t, w, children)
			first.MayFail()
			stopped := time.Now()
			before := len(history(t, w))

			var late fault.Gate
			late.Shut()
			isLate := func(request fault.Request) bool { return strings.HasPrefix(request.Name, "cd-000-") }
			cluster := heldCreates(t, &late, isLate, false)
			w.Launch(env.ControllerOptions{Cluster: cluster.Through(local.ConfigFor(env.Penstock))})
			w.RowsAre(children-1, "Succeeded")
			w.Eventually("the end of the stop", func(context.Context) bool { return time.Since(stopped) > length })
			seen := creates(cluster, isLate)
			w.Eventually("the second submits the last row", func(context.Context) bool {
				return creates(cluster, isLate) > seen && w.Rows("Submitting") == 1
			})
			require.NoError(t, first.Signal(syscall.SIGCONT))
			w.Eventually("the first has tried, or is gone", func(context.Context) bool {
				select {
				case <-first.Ended():
					return elects
				default:
					return first.tried.Load() > 0
				}
			})
			for _, one := range history(t, w)[before:] {
				require.NotEqual(t, first.role, one.Writer, "the first wrote %+v", one)
			}
			t.Logf("the first tried to record %d times", first.tried.Load())
			late.Open()
			first.creates.Open()
			w.RowsAre(children, "Succeeded")
			w.MadeAre(children)
			w.Judge()
		})
	}
}
