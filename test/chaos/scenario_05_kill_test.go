package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
	"github.com/penstock-cd/penstock/test/world"
)

const (
	// lease is that of every world.
	lease = 5 * time.Second
	// recovery is what a restart may take to bring everything under way again.
	recovery = lease + 5*time.Second
	// telling is what it may take until every status tells of it: rows go on moving.
	telling = 2 * recovery
	// samePod makes each controller of a world the next one in the same pod.
	samePod = "POD_UID=pod"
	// followed is what a stage and what follows it may take.
	followed = 5 * time.Second
)

// breaking launches a controller that breaks where the text says.
func breaking(w *world.World, failpoints string) *world.Controller {
	return w.Launch(env.ControllerOptions{Binary: "penstock-failpoints", Env: []string{failpoint.Variable + "=" + failpoints}})
}

// killedWithin tells whether the controller was killed before the time was over. One
// that ends in any other way fails the test.
func killedWithin(t *testing.T, controller *world.Controller, patience time.Duration) bool {
	t.Helper()
	select {
	case <-controller.Ended():
	case <-time.After(patience):
		return false
	}
	var exit *exec.ExitError
	require.ErrorAs(t, controller.Exit(), &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "it ended by itself")
	return true
}

// recovered waits until everything that a crash has left open is taken up, and
// returns how long that took, and then until every status tells of it; an error when
// it takes longer than it may, or when the controller is killed meanwhile.
func recovered(t *testing.T, w *world.World, controller *world.Controller) (time.Duration, error) {
	t.Helper()
	return recoveredWithin(t, w, controller, telling)
}

// recoveredWithin is recovered where statuses may take longer.
func recoveredWithin(t *testing.T, w *world.World, controller *world.Controller, telling time.Duration) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*world.Patience)
	defer cancel()
	if err := controller.WaitReady(ctx); err != nil {
		return 0, err
	}
	began, cpu := time.Now(), cpushare.Start()
	go func() {
		defer cancel()
		select {
		case <-controller.Ended():
		case <-ctx.Done():
		}
	}()
	if err := oracle.TakenUp(ctx, w.Database, w.Cluster); err != nil {
		return time.Since(began), err
	}
	took := time.Since(began)
	if err := inTime(took, recovery, cpu); err != nil {
		return took, err
	}
	var slow []string
	err := oracle.QuiesceTelling(ctx, func(left string) {
		slow = append(slow, fmt.Sprintf("until %s: %s", time.Since(began).Round(time.Millisecond), left))
	}, oracle.World{Database: w.Database, Clusters: []client.Reader{w.Cluster}})
	if err != nil {
		return took, err
	}
	if err := inTime(time.Since(began), telling, cpu); err != nil {
		return took, fmt.Errorf("%w\n\t%s", err, strings.Join(slow, "\n\t"))
	}
	return took, nil
}

// inTime is an error where something took longer than it may with what others left of
// the machine.
func inTime(took, most time.Duration, cpu cpushare.Clock) error {
	if most = cpushare.Scale(most, cpu.Left()); took > most {
		return fmt.Errorf("took %s instead of %s: %w", took, most, context.DeadlineExceeded)
	}
	return nil
}

// staged is two pipelines below CI, one of which has three stages, and the other a child.
func staged(with ...func(*v1alpha1.CdPipeline)) given.Family {
	family := given.FamilyOf(given.CdPipeline("plain"), given.CdPipeline("staged", given.WithPre, given.WithPost),
		given.CdPipeline("below", given.BelowCd("plain")))
	for i := range family {
		for _, change := range with {
			change(&family[i])
		}
	}
	return family
}

// pass is the first time that a step is passed because of the build: the status of the
// three pipelines is written before.
func pass(name failpoint.Name) int {
	if strings.HasPrefix(string(name), "report/") {
		return 4
	}
	return 1
}

// steps are all of them, or with -short those on the way from a build to its
// Workflows.
func steps() []failpoint.Name {
	if testing.Short() {
		return []failpoint.Name{
			failpoint.PlanBeforeInsert, failpoint.PlanBeforeCommit, failpoint.PlanAfterCommit,
			failpoint.DispatchAfterClaim, failpoint.SubmitAfterCreate, failpoint.CompleteAfterCommit,
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(failpoint.Points())), ofOthers) // which have a scenario of their own
}

// The steps share the machine with each other alone: what is measured is how long
// recovery takes.
//
//nolint:tparallel // so its subtests are parallel, and it is not
func TestAKillAtAnyStepLosesAndDoublesNothing(t *testing.T) {
	for _, name := range steps() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, samePod)
			w.CreateFamily(staged())
			w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
			broken := breaking(w, fmt.Sprintf("%s=%d*kill", name, pass(name)))
			require.NoError(t, broken.WaitReady(t.Context()))
			w.Succeed("b1")
			require.True(t, killedWithin(t, broken, world.Patience), "the step is never passed")
			took, err := recovered(t, w, w.Launch(env.ControllerOptions{}))
			require.NoError(t, err)
			t.Logf("recovered in %s", took.Round(time.Millisecond))
			w.RowsAre(5, "Succeeded")
			require.Len(t, w.Workflows(), 5)
			w.Judge()
		})
	}
}

// moments are where a controller is to be killed: at a step the n-th time that it is
// passed, unless it survives until the time is over.
func moments(random *rand.Rand) (failpoints string, survives time.Duration) {
	names := slices.Sorted(maps.Keys(failpoint.Points()))
	name := names[random.IntN(len(names))]
	return fmt.Sprintf("%s=%d*kill", name, 1+random.IntN(4)), time.Duration(random.IntN(2500)) * time.Millisecond
}

// Several controllers, each with its own world, are killed at a time. They share the
// machine with each other alone.
//
//nolint:tparallel // so its subtests are parallel, and it is not
func TestKillsAtRandomLoseAndDoubleNothing(t *testing.T) {
	const worlds = 2
	for i := range worlds {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			killAtRandom(t, sized(100, 8)/worlds)
		})
	}
}

// killAtRandom kills one controller after the other. Each that is left alone for long
// enough to take everything up is given another build.
func killAtRandom(t *testing.T, kills int) {
	t.Helper()
	random := newRandom(t)
	w, pipelines := newWorld(t, samePod), grow(random)
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(pipelines.Family)
	telling := telling + time.Duration(pipelines.longest)*followed
	var slowest time.Duration
	atStep, builds := 0, 0
	for range kills {
		failpoints, survives := moments(random)
		controller := breaking(w, failpoints)
		took, err := recoveredWithin(t, w, controller, telling)
		if err == nil {
			slowest = max(slowest, took)
			builds++
			w.Create(given.CiBuild(fmt.Sprintf("b%d", builds)))
			w.Finish(fmt.Sprintf("b%d", builds), v1alpha1.BuildSucceeded, someArtifacts(random)...)
		} else {
			require.NotErrorIs(t, err, context.DeadlineExceeded, "%s: not recovered after %s", failpoints, took)
		}
		if killedWithin(t, controller, survives) {
			atStep++
			continue
		}
		require.NoError(t, controller.Kill())
	}
	took, err := recoveredWithin(t, w, w.Launch(env.ControllerOptions{}), telling)
	require.NoError(t, err)
	t.Logf("%d kills, %d of them at a step; %d builds; the slowest recovery took %s", kills, atStep, builds, max(slowest, took).Round(time.Millisecond))
	require.Positive(t, builds, "nothing was ever under way")
	allEnded(t, w, builds)
	w.Judge()
	require.Zero(t, w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome NOT IN ('Succeeded', 'Superseded')`))
	require.Zero(t, w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome <> 'Succeeded' AND pipeline = ANY($1)`, pipelines.complete))
	require.Zero(t, w.Count(`SELECT count(*) FROM trigger_decision WHERE outcome <> 'Triggered' AND pipeline = ANY($1)`, pipelines.complete))
}

// allEnded waits until so many builds are planned, and nothing of them can go on: every run
// has ended, or waits for a person.
func allEnded(t *testing.T, w *world.World, builds int) {
	t.Helper()
	within(t, 10*time.Minute, "the end of every run", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM ci_build WHERE planned_at IS NOT NULL`) == builds && w.Count(`
			SELECT count(*) FROM cd_workflow w WHERE outcome IS NULL AND NOT EXISTS (
				SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
				WHERE r.cd_workflow_id = w.id AND t.status = 'Held' AND t.reason = 'Person')`) == 0
	})
}
