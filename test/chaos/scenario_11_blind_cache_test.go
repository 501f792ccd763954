package chaos

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
)

// For a while every other create's reply is lost as well, so that rows are submitted
// again by a controller whose cache has never heard of their Workflows. Sweeps find them.
func TestACacheThatNeverShowsNewWorkflowsMakesNoneTwice(t *testing.T) {
	long(t)
	t.Parallel()
	const children, losing = 40, 30 * time.Second
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
	w.CreateFamily(given.CdPipelines(children, "cd"))
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	var blind fault.Gate
	blind.Shut()
	proxy.Disturb("workflows", fault.Held(&blind))
	w.StartWith(env.ControllerOptions{Cluster: proxy.Through(local.ConfigFor(env.Penstock))})
	healed := time.Now().Add(losing)
	proxy.Break(func(_ context.Context, request fault.Request) fault.Fault {
		if time.Now().Before(healed) && request.Verb == "create" && request.Resource == "workflows" && rand.IntN(2) == 0 {
			return fault.LostReply
		}
		return fault.None
	})
	w.Succeed("b1")
	w.RowsAre(children, "Succeeded")
	require.Len(t, w.Workflows(), children)
	w.MadeAre(children)
	require.Greater(t, len(w.Log().Attempts()), children, "none was submitted again")
	w.Judge()
}
