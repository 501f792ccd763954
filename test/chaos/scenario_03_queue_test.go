package chaos

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
	"github.com/penstock-cd/penstock/test/world"
)

const (
	// mostClaim is how long 99 of 100 claims may take.
	mostClaim = 20 * time.Millisecond
	// claimPause lies between two claims that are timed.
	claimPause = 20 * time.Millisecond
	// spareMemory is what a process may have more at one moment than at another. As many
	// rows kept in memory would need more than that.
	spareMemory = 24 << 20
)

// The rows wait for real: five hundred pipelines, many builds, and the default rate.
// That the claim reads no table from end to end is tested in pkg/store.
func TestAQueueOfFiftyThousandIsClaimedQuicklyAndKeptOutOfMemory(t *testing.T) {
	long(t)
	const children = 500
	few, many := 20, 110 // builds
	w := newQuietWorld(t, "KUBE_API_QPS=50")
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	w.Create(given.CiPipeline(given.CI))
	// The detector of races takes several times the memory.
	controller := w.StartWith(env.ControllerOptions{Binary: "penstock"})
	settled(w, children)

	finishBuilds(t, w, 0, few, children)
	before := controller.Metric(t.Context(), "process_resident_memory_bytes")
	finishBuilds(t, w, few, many, children)
	after := controller.Metric(t.Context(), "process_resident_memory_bytes")
	waiting := w.Rows("Pending")
	require.Greater(t, waiting, 50_000)

	times := claimTimes(t, w, 1000)
	slowest := measure.Percentile(times, 99)
	t.Logf("%d rows wait: claims p50 %s, p99 %s; memory %.0f MiB, with %d builds %.0f MiB", waiting,
		measure.Percentile(times, 50), slowest, before/(1<<20), many, after/(1<<20))
	require.LessOrEqual(t, slowest, mostClaim)
	require.Less(t, after-before, float64(spareMemory), "memory grows with the queue")

	hurry(t, w)
	within(t, 10*time.Minute, "every row has its Workflow", func(context.Context) bool {
		return w.Rows("Submitted") == many*children
	})
	w.Judge()
}

// finishBuilds creates and finishes the builds of these numbers, and returns when
// their rows are in the table.
func finishBuilds(t *testing.T, w *world.World, from, to, children int) {
	t.Helper()
	var names []string
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("b%d", i))
		w.Create(given.CiBuild(names[len(names)-1]))
	}
	succeedAtOnce(t, w, names)
	within(t, 5*time.Minute, "every build is planned", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task`) == to*children
	})
}

// within is Eventually with another patience. It looks once a second, since a count of 50,000
// rows takes processor time from the triggers.
func within(t *testing.T, patience time.Duration, what string, is func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, patience, true, func(ctx context.Context) (bool, error) {
		return is(ctx), nil
	})
	require.NoError(t, err, "never came: %s", what)
}

// claimTimes claims from the live queue, beside the controller, and takes each claim
// back at once. It takes its time, as the controller does: what disturbs all claims of
// one second is one of many.
func claimTimes(t *testing.T, w *world.World, claims int) []time.Duration {
	t.Helper()
	const rows = 20 // what dispatch claims with five slots
	params := dbsqlc.ClaimTasksParams{
		Kind:       string(store.KindCd),
		Namespaces: []string{w.Namespace}, Most: rows, Look: rows, Worker: "somebody",
		Limited: []string{}, Rooms: []int32{}, Causes: []string{}, Room: math.MaxInt32, // no namespace is limited
		Lease: pgtype.Interval{Microseconds: lease.Microseconds(), Valid: true},
	}
	times := make([]time.Duration, claims)
	undo := errors.New("undo")
	for i := range times {
		err := pgx.BeginFunc(t.Context(), w.Database, func(tx pgx.Tx) error {
			began := time.Now()
			claimed, err := dbsqlc.New(tx).ClaimTasks(t.Context(), params)
			times[i] = time.Since(began)
			require.NoError(t, err)
			require.Len(t, claimed, rows)
			return undo
		})
		require.ErrorIs(t, err, undo)
		time.Sleep(claimPause)
	}
	return times
}
