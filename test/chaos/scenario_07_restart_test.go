package chaos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// mostUnready is how long the controller may take to be ready once Postgres is back.
const mostUnready = 10 * time.Second

func TestPostgresStoppedAtOnceUnderLoadLosesNothing(t *testing.T) {
	const children = 10
	outages := sized(10, 3)
	postgres, err := env.StartPostgres(t.Context(), env.PostgresOptions{Own: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close()) })
	w := world.New(t, world.Options{Environment: local, Postgres: postgres, Settings: []string{"KUBE_API_QPS=25", "KUBE_API_BURST=1"}})
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	controller := w.Start()
	alive := watchLiveness(controller)
	for i := range outages {
		outage(t, w, postgres, controller, i)
	}
	require.Empty(t, alive.stop(), "it must be alive all the time")
	w.RowsAre(2*outages*children, "Succeeded")
	w.Judge()
}

// outage stops Postgres while one build is being triggered, and has another finish
// before it is back: at once, or after every lease has run out.
func outage(t *testing.T, w *world.World, postgres *env.Postgres, controller *world.Controller, i int) {
	t.Helper()
	before, meanwhile := fmt.Sprintf("before-%d", i), fmt.Sprintf("meanwhile-%d", i)
	w.Create(given.CiBuild(before), given.CiBuild(meanwhile))
	made := len(w.Workflows())
	w.Succeed(before)
	w.Eventually("the first Workflow", func(context.Context) bool { return len(w.Workflows()) > made })
	require.NoError(t, postgres.Stop(env.Immediate))
	w.Succeed(meanwhile)
	w.Eventually("it is not ready", func(ctx context.Context) bool {
		return controller.Probe(ctx, "/readyz") == http.StatusInternalServerError
	})
	if i%3 == 2 {
		pause(w, lease+time.Second)
	}
	require.NoError(t, postgres.Restart(t.Context()))
	back, cpu := time.Now(), cpushare.Start()
	w.Eventually("it is ready", func(ctx context.Context) bool { return controller.Probe(ctx, "/readyz") == http.StatusOK })
	took := time.Since(back)
	t.Logf("ready %s after Postgres", took.Round(time.Millisecond))
	require.LessOrEqual(t, took, cpushare.Scale(mostUnready, cpu.Left()))
}

// pause lets time pass for the controllers.
func pause(w *world.World, long time.Duration) {
	over := time.Now().Add(long)
	w.Eventually("the end of a pause", func(context.Context) bool { return time.Now().After(over) })
}

// liveness is the answers of /healthz that were not 200.
type liveness struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	dead   []string
}

func watchLiveness(controller *world.Controller) *liveness {
	const interval, timeout = 100 * time.Millisecond, 5 * time.Second
	ctx, cancel := context.WithCancel(context.Background())
	l := &liveness{cancel: cancel}
	l.done.Go(func() {
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			if code := controller.Probe(ctx, "/healthz"); code != http.StatusOK && ctx.Err() != context.Canceled {
				l.dead = append(l.dead, fmt.Sprintf("%s: %d", time.Now().Format(time.StampMilli), code))
			}
		}, interval)
	})
	return l
}

func (l *liveness) stop() []string {
	l.cancel()
	l.done.Wait()
	return l.dead
}
