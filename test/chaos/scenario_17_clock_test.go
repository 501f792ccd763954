package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// slowAnswer is what each create takes: well within half a lease, and long enough for
// another controller to steal the row.
const slowAnswer = time.Second

// slowly is a proxy that holds each create of a Workflow up for a while.
func slowly(t *testing.T) *fault.APIServer {
	t.Helper()
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	proxy.Break(func(ctx context.Context, request fault.Request) fault.Fault {
		if request.Verb == "create" && request.Resource == "workflows" {
			select {
			case <-time.After(slowAnswer):
			case <-ctx.Done():
			}
		}
		return fault.None
	})
	return proxy
}

// requireNoTheft wants no claim to be given back by anybody but its holder before the
// lease has run out, or the holder has been silent for long.
func requireNoTheft(t *testing.T, w *world.World) {
	t.Helper()
	changes, beats := history(t, w), lastBeats(t, w)
	claims := map[int64]change{}
	for _, one := range changes {
		if one.After == "Submitting" {
			claims[one.Task] = one
			continue
		}
		claim, claimed := claims[one.Task]
		if claimed && one.Before == "Submitting" && one.After == "Pending" && one.Writer != claim.Writer {
			beat, known := beats[claim.Worker]
			isSilent := known && one.At.Sub(beat) >= store.WorkerSilence
			require.True(t, isSilent || one.At.Sub(claim.At) >= lease, "%s has stolen from %s, whose last beat was at %s: claimed %+v, stolen %+v",
				one.Writer, claim.Writer, beat, claim, one)
		}
	}
	require.NotEmpty(t, claims)
}

// lastBeats are when each worker was last heard of, by the database's clock.
func lastBeats(t *testing.T, w *world.World) map[string]time.Time {
	t.Helper()
	rows, err := w.Database.Query(t.Context(), "SELECT name, beat_at FROM worker")
	require.NoError(t, err)
	beats := map[string]time.Time{}
	var name string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&name, &at}, func() error {
		beats[name] = at
		return nil
	})
	require.NoError(t, err)
	return beats
}

// The database's clock is apart from the controllers', not theirs from each other: they
// are processes of one machine.
func TestClocksThatDifferByTenMinutesStealNoLeaseAndStopNoWork(t *testing.T) {
	long(t)
	for _, offset := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		t.Run(fmt.Sprintf("by %s", offset), func(t *testing.T) {
			postgres, err := env.StartPostgres(t.Context(), env.PostgresOptions{Own: true, ClockOffset: offset})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, postgres.Close()) })
			skewedClocks(t, postgres, 60)
		})
	}
}

func lastClaim(changes []change) (last change) {
	for _, one := range changes {
		if one.After == "Submitting" {
			last = one
		}
	}
	return last
}

func skewedClocks(t *testing.T, postgres *env.Postgres, children int) {
	t.Helper()
	w := world.New(t, world.Options{Environment: local, Postgres: postgres})
	recordHistory(t, w)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), given.CiBuild("b2"))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	proxy := slowly(t)
	controllers := map[string]*world.Controller{}
	for range 2 {
		address, role := asSomebody(t, w, postgres)
		controllers[role] = w.StartWith(env.ControllerOptions{DatabaseURL: address, Cluster: proxy.Through(local.ConfigFor(env.Penstock))})
	}
	w.Succeed("b1")
	w.RowsAre(children, "Succeeded")
	requireNoTheft(t, w)

	w.Succeed("b2")
	w.Eventually("one of them submits", func(context.Context) bool { return w.Rows("Submitting") > 0 })
	holder := lastClaim(history(t, w)).Writer
	require.NoError(t, controllers[holder].Kill())
	delete(controllers, holder)
	proxy.Break(nil) // what is measured is how long leases keep rows back
	for _, other := range controllers {
		took, err := recovered(t, w, other)
		require.NoError(t, err, "the work of the one that was killed has stopped")
		t.Logf("the other had taken everything up after %s", took.Round(time.Millisecond))
	}
	w.RowsAre(2*children, "Succeeded")
	requireNoTheft(t, w)
	w.MadeAre(2 * children)
	w.Judge()
}
