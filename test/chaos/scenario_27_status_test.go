package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// mostLate is how late status may be once triggers have gone first for triggersFirst.
const mostLate, triggersFirst = 10 * time.Second, 30 * time.Second

func TestStatusIsTrueWhileTheQueueNeverEmpties(t *testing.T) {
	t.Parallel()
	const pipelines = 100
	lasts := 10 * time.Minute
	if testing.Short() {
		lasts = 55 * time.Second
	}
	w := newQuietWorld(t, "KUBE_API_QPS=50")
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(pipelines, "cd", unordered))
	// The detector of races makes everything slower by an order of magnitude.
	w.StartWith(env.ControllerOptions{Binary: "penstock"})
	settled(w, pipelines)

	began := time.Now()
	feeding, stop := context.WithCancel(t.Context())
	var feeder sync.WaitGroup
	defer feeder.Wait()
	defer stop()
	feeder.Go(func() { neverEmpty(feeding, t, w, pipelines) })
	time.Sleep(triggersFirst)
	cpu, from := cpushare.Start(), time.Now()
	var latest lateness
	for time.Since(began) < lasts {
		latest = latest.or(lateBy(t, w, from))
		time.Sleep(time.Second)
	}
	most, left := cpushare.Scale(mostLate, cpu.Left()), w.Rows("Pending")
	t.Logf("%d triggers in %s; the status of pipelines was at most %s late, that of builds %s",
		w.Rows("Submitted"), time.Since(began).Round(time.Second), latest.pipelines, latest.builds)
	require.Positive(t, left, "the queue was empty")
	require.LessOrEqual(t, latest.pipelines, most)
	require.LessOrEqual(t, latest.builds, most)

	stop()
	feeder.Wait()
	hurry(t, w)
	w.Eventually("the queue is empty", func(context.Context) bool { return w.Rows("Pending")+w.Rows("Submitting") == 0 })
	w.Judge()
}

// neverEmpty finishes a build whenever few tasks wait.
func neverEmpty(ctx context.Context, t *testing.T, w *world.World, pipelines int) {
	for n := 0; ctx.Err() == nil; {
		if waiting := w.Rows("Pending"); waiting >= 0 && waiting < 2*pipelines {
			name := fmt.Sprintf("b%d", n)
			w.Create(given.CiBuild(name))
			if err := w.TrySucceed(ctx, name); err != nil && ctx.Err() == nil {
				t.Errorf("finish %s: %v", name, err)
				return
			}
			n++
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// lateness is how long the status of pipelines and of builds has not said what is in the tables.
type lateness struct{ pipelines, builds time.Duration }

func (l lateness) or(other lateness) lateness {
	return lateness{max(l.pipelines, other.pipelines), max(l.builds, other.builds)}
}

// triggered is a task, and how long ago it was made and submitted; submitted is negative where
// it was not.
type triggered struct {
	Pipeline, Build    string
	Run                int64
	Created, Submitted float64
}

// lateBy compares the tables with the status that is read after them. What happened before from is left out.
func lateBy(t *testing.T, w *world.World, from time.Time) (late lateness) {
	t.Helper()
	rows, err := w.Database.Query(t.Context(), `
		SELECT owner_name, inputs->>'build', (inputs->>'run')::bigint, EXTRACT(EPOCH FROM clock_timestamp() - created_at)::float8,
			COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - submitted_at)::float8, -1)
		FROM task WHERE created_at > now() - interval '2 minutes' ORDER BY submitted_at`)
	require.NoError(t, err)
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[triggered])
	require.NoError(t, err)
	since := time.Since(from)
	var pipelines v1alpha1.CdPipelineList
	require.NoError(t, w.Cluster.List(t.Context(), &pipelines))
	runs := map[string]*v1alpha1.LastRun{}
	for i := range pipelines.Items {
		runs[pipelines.Items[i].Name] = pipelines.Items[i].Status.LastRun
	}
	var builds v1alpha1.CiBuildList
	require.NoError(t, w.Cluster.List(t.Context(), &builds))
	told := map[string]int32{} // submitted triggers of each build
	for i := range builds.Items {
		if triggers := builds.Items[i].Status.Triggers; triggers != nil {
			told[builds.Items[i].Name] = triggers.Submitted
		}
	}
	note := func(most *time.Duration, seconds float64) {
		if age := time.Duration(seconds * float64(time.Second)); age < since {
			*most = max(*most, age.Round(time.Millisecond))
		}
	}
	for _, task := range tasks {
		run := runs[task.Pipeline]
		isTold := run != nil && (run.Run > task.Run || run.Run == task.Run && run.Phase != "Pending" && run.Phase != "Submitting")
		switch {
		case run == nil || run.Run < task.Run:
			note(&late.pipelines, task.Created)
		case !isTold && task.Submitted >= 0:
			note(&late.pipelines, task.Submitted)
		}
		if task.Submitted >= 0 {
			if told[task.Build]--; told[task.Build] < 0 {
				note(&late.builds, task.Submitted)
			}
		}
	}
	return late
}
