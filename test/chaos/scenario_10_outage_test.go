package chaos

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
)

// away is for how long the API server is away, goOn how soon all goes on once it is back.
const away, goOn = 10 * time.Second, 2 * time.Second

// poison is the pipeline whose Workflows the API server fails to create.
const poison = "poison"

func TestAnAPIServerThatIsAwayIsNoFailureOfTasksAndAPoisonTaskIsAlone(t *testing.T) {
	t.Parallel()
	const children = 60
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), given.CdPipeline(poison, given.Priority(7), unordered))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	proxy, _ := proxied(t, w, "KUBE_API_QPS=10")
	w.Eventually("its caches are filled", func(ctx context.Context) bool { return w.Ready(ctx) == children+1 })
	innocent := func(is string) int {
		return w.Count(`SELECT count(*) FROM task WHERE owner_name <> $1 AND `+is, poison)
	}
	proxy.Break(poisoned)
	w.Succeed("b1")
	w.Eventually("the poison task has failed, and others go on", func(context.Context) bool {
		return innocent(`status <> 'Pending'`) >= 10 && w.Count(`SELECT failures FROM task WHERE owner_name = $1`, poison) > 0
	})
	require.Zero(t, innocent(`failures > 0`), "it failed alone")
	require.Zero(t, innocent(`available_at > now()`), "it is set aside alone")

	proxy.Break(func(_ context.Context, request fault.Request) fault.Fault {
		if request.IsWatch() {
			return fault.None
		}
		return fault.Cut
	})
	time.Sleep(away)
	require.Greater(t, innocent(`status IN ('Pending', 'Submitting')`), children/2, "there was little left to do")
	back, cpu := time.Now(), cpushare.Start()
	var at time.Time // by the database's clock
	require.NoError(t, w.Database.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&at))
	proxy.Break(poisoned)
	w.Eventually("a Workflow is made again, and no innocent task is left alone", func(context.Context) bool {
		return innocent(`submitted_at > '`+at.Format(time.RFC3339Nano)+`'`) > 0 && innocent(`status = 'Pending' AND available_at > now()`) == 0
	})
	took, most := time.Since(back), cpushare.Scale(goOn, cpu.Left())
	first := w.Log().Creates().Since(back)[0].Finished.Sub(back)
	t.Logf("the first Workflow came %s after the API server was back, and nothing waited any more after %s", first, took)
	require.LessOrEqual(t, took, most)
	w.Eventually("all but the poison task", func(context.Context) bool {
		return innocent(`status IN ('Submitted', 'Running', 'Succeeded')`) == children
	})
	require.Zero(t, innocent(`failures > 0`), "they were only hit by the outage")
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM task WHERE owner_name = $1 AND status IN ('Pending', 'Submitting') AND failures > 0`, poison))

	proxy.Break(nil)
	w.RowsAre(children+1, "Succeeded")
	w.Judge()
}

// poisoned fails to create the Workflows of one pipeline.
func poisoned(_ context.Context, request fault.Request) fault.Fault {
	if request.Verb == "create" && request.Resource == "workflows" && strings.HasPrefix(request.Name, poison) {
		return fault.InternalError
	}
	return fault.None
}
