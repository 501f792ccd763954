package chaos

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
)

const (
	// resumption is what may pass from the end of a stall until everything is under
	// way again: a lease, and the longest pause of a committer that retries.
	resumption = lease + 15*time.Second
	// spareGoroutines is what an idle process may have more at one moment than at
	// another: connections and watches come and go.
	spareGoroutines = 60
)

// pkg/store's own tests show of each call that it ends at its timeout during a stall,
// also with one connection; here the whole process lives through it, with the fewest
// connections that it accepts.
func TestAStallOfPostgresBlocksNothingForEver(t *testing.T) {
	long(t)
	const children = 40
	stall := time.Duration(30) * time.Second // 30 s is longer than every timeout of the store
	w := newWorld(t, "DATABASE_MAX_CONNS=4", "KUBE_API_QPS=10", "KUBE_API_BURST=1")
	proxy := throughProxy(t, w)
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), given.CiBuild("b2"))
	controller := w.StartWith(env.ControllerOptions{DatabaseURL: proxy.URL})
	settled(w, children) // every loop runs
	goroutines := controller.Metric(t.Context(), "go_goroutines")
	require.Positive(t, goroutines)
	w.Succeed("b1")
	w.Eventually("some are submitted", func(context.Context) bool { return len(w.Workflows()) > 5 })
	require.Less(t, len(w.Workflows()), children/2, "the stall must come in the middle")

	proxy.Stall()
	w.Succeed("b2")
	over := time.Now().Add(stall)
	w.Eventually("it is not ready, and alive", func(ctx context.Context) bool {
		return controller.Probe(ctx, "/readyz") == http.StatusInternalServerError && controller.Probe(ctx, "/healthz") == http.StatusOK
	})
	w.Eventually("the end of the stall", func(context.Context) bool { return time.Now().After(over) })
	require.Equal(t, http.StatusOK, controller.Probe(t.Context(), "/healthz"))
	proxy.Resume()

	began := time.Now()
	w.Eventually("it is ready", func(ctx context.Context) bool { return controller.Probe(ctx, "/readyz") == http.StatusOK })
	ctx, cancel := context.WithTimeout(t.Context(), resumption+2*children/10*time.Second)
	defer cancel()
	require.NoError(t, oracle.TakenUp(ctx, w.Database, w.Cluster))
	t.Logf("everything was under way %s after the stall", time.Since(began).Round(time.Millisecond))
	w.RowsAre(2*children, "Succeeded")
	w.Eventually("no call hangs", func(ctx context.Context) bool {
		return controller.Metric(ctx, "go_goroutines") < goroutines+spareGoroutines
	})
	w.Judge()
}
