package chaos

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// freed is what may pass until others go on with what a client that vanished has kept
// locked.
const freed = 15 * time.Second

// leftOpen counts the transactions whose client does nothing.
const leftOpen = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock' AND datname = current_database()
	AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '1 second'`

func TestAClientThatVanishesInsideATransactionHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for sentence, vanish := range map[string]func(*testing.T, *world.Controller, *fault.Postgres){
		"since it does nothing more": func(*testing.T, *world.Controller, *fault.Postgres) {},
		"since its process is stopped": func(t *testing.T, broken *world.Controller, _ *fault.Postgres) {
			t.Helper()
			require.NoError(t, broken.Signal(syscall.SIGSTOP))
		},
		"since the network takes all and delivers nothing": func(_ *testing.T, _ *world.Controller, proxy *fault.Postgres) { proxy.Stall() },
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.CreateFamily(staged())
			w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
			proxy := throughProxy(t, w)
			broken := w.Launch(env.ControllerOptions{
				Binary: "penstock-failpoints", DatabaseURL: proxy.URL, Env: []string{"PENSTOCK_FAILPOINTS=follow/before-commit=stall(5m)"},
			})
			require.NoError(t, broken.WaitReady(t.Context()))
			w.Succeed("b1")
			w.Eventually("a transaction that is left open", func(context.Context) bool { return w.Count(leftOpen) > 0 })
			locked := unsettled(t, w)
			require.NotEmpty(t, locked)
			vanish(t, broken, proxy)

			vanished, cpu := time.Now(), cpushare.Start()
			w.Start()
			w.Eventually("others go on", func(context.Context) bool {
				return w.Count(`SELECT count(*) FROM task WHERE id = ANY($1) AND settled_at IS NULL`, locked) == 0
			})
			took := time.Since(vanished)
			t.Logf("others went on after %s", took.Round(time.Millisecond))
			require.NoError(t, inTime(took, freed, cpu))
			w.RowsAre(5, "Succeeded")
			require.NoError(t, broken.Kill())
			w.Judge()
		})
	}
}

// unsettled are the tasks that ended and that nobody has followed yet.
func unsettled(t *testing.T, w *world.World) []int64 {
	t.Helper()
	rows, err := w.Database.Query(t.Context(), `SELECT id FROM task WHERE settled_at IS NULL AND status IN ('Succeeded', 'Failed', 'Error')`)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return ids
}
