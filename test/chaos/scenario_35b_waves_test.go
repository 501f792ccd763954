package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/registry"
	"github.com/penstock-cd/penstock/test/world"
)

// waving is a world with a registry, and what waves build.
type waving struct {
	*world.World
	t      *testing.T
	images *registry.Server
	// digests are those that were pushed last.
	digests map[string]string
}

func newWaving(t *testing.T) *waving {
	t.Helper()
	w := &waving{World: newWorld(t, samePod, mayReachLoopback), t: t, images: registry.New(t), digests: map[string]string{}}
	w.template("build", time.Second)
	return w
}

// template creates one of builds that take so long.
func (w *waving) template(name string, long time.Duration) {
	w.t.Helper()
	w.Create(given.Declares(given.BuildTemplate(name, "registry.example.com/app", long), wfv1.Parameter{Name: "build"}))
}

// bases creates base images of the registry, and waits until their first digest is known.
func (w *waving) bases(parallel, failures int32, names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.digests[name] = w.images.Push(w.t, "base/"+name+":1", 1)
		w.Create(given.BaseImage(name, w.images.Host+"/base/"+name+":1", given.Settled(time.Second), given.Rebuilding(parallel, failures)))
	}
	controller := w.Launch(env.ControllerOptions{})
	require.NoError(w.t, controller.WaitReady(w.t.Context()))
	w.known()
	require.NoError(w.t, controller.Kill())
	require.Zero(w.t, w.Count("SELECT count(*) FROM wave"), "a first digest is no change")
}

// known waits until the digests that were pushed are known; a controller must run.
func (w *waving) known() {
	w.t.Helper()
	for name, digest := range w.digests {
		w.Eventually("the digest of "+name, func(ctx context.Context) bool {
			_, _ = w.Database.Exec(ctx, `UPDATE base_image SET check_wanted_at = now() WHERE name = $1 AND digest <> $2 AND check_wanted_at IS NULL`, name, digest)
			return w.Count(`SELECT count(*) FROM base_image WHERE name = $1 AND digest = $2`, name, digest) == 1
		})
	}
}

// push changes base images, and has them checked by whoever runs next.
func (w *waving) push(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.digests[name] = w.images.Push(w.t, "base/"+name+":1", 1)
	}
	_, err := w.Database.Exec(w.t.Context(), `UPDATE base_image SET check_wanted_at = now() WHERE name = ANY($1)`, names)
	require.NoError(w.t, err)
}

// apps creates pipelines that are built on these.
func (w *waving) apps(prefix string, count int, template string, bases ...string) {
	w.t.Helper()
	for n := range count {
		w.Create(given.CiPipeline(fmt.Sprintf("%s-%d", prefix, n), given.Builds(template), given.BuiltOn(bases...)))
	}
}

// waveIs waits until the newest wave of an image stands so.
func (w *waving) waveIs(name string, state v1alpha1.WaveState) {
	w.t.Helper()
	within(w.t, 3*world.Patience, fmt.Sprintf("the wave of %s is %s", name, state), func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM wave w JOIN base_image b ON b.image_uid = w.image_uid AND b.wave = w.number
			WHERE b.name = $1 AND w.state = $2 AND b.wave_due_at IS NULL`, name, string(state)) == 1
	})
}

// waveSteps are those on the way from a change to the end of a build, in the order in which a
// wave passes them.
func waveSteps() []failpoint.Name {
	return []failpoint.Name{
		failpoint.WaveBeforeCommit, failpoint.WaveAfterCommit, failpoint.WaveBeforeCreate, failpoint.WaveAfterCreate,
		failpoint.BuildBeforeCommit, failpoint.BuildAfterCommit, failpoint.SubmitBeforeCreate, failpoint.SubmitAfterCreate,
		failpoint.BuildBeforeStatus, failpoint.BuildAfterStatus,
	}
}

// One wave goes on from one killed controller to the next.
func TestAKillAtAnyStepOfAWaveBuildsEverythingOnce(t *testing.T) {
	w, dependents := newWaving(t), sized(100, 30)
	w.apps("app", dependents, "build", "go")
	w.bases(4, 0, "go")
	w.push("go")
	for _, step := range waveSteps() {
		killAnyhow(t, breaking(w.World, fmt.Sprintf("%s=1*kill", step)))
	}
	w.Start()
	w.known()
	w.waveIs("go", v1alpha1.WaveSucceeded)
	require.Equal(t, 1, w.Count("SELECT count(*) FROM wave"))
	require.Equal(t, dependents, w.Count("SELECT count(*) FROM wave_item WHERE state = 'Succeeded'"))
	require.Equal(t, dependents, w.Count("SELECT count(*) FROM ci_build"))
	require.Len(t, w.Workflows(), dependents)
	w.Judge()
}

// Two images change at once, on both of which pipelines are built; of a third too many builds
// fail; a fourth is built on itself.
func TestKillsAtRandomInWavesBuildEverythingOnce(t *testing.T) {
	random := newRandom(t)
	w, kills := newWaving(t), sized(100, 4)
	each := sized(20, 5)
	w.apps("on-go", each, "build", "go")
	w.apps("on-java", each, "build", "java")
	w.apps("on-both", each, "build", "go", "java")
	w.Create(given.PodTemplate("bad", "1"))
	w.apps("bad", 5, "bad", "frail")
	w.apps("ring", 1, "build", "go", "ring")
	w.Create(given.BaseImage("ring", "registry.example.com/app", given.BuiltBy("ring-0"), given.Settled(0)))
	w.bases(2, 1, "go", "java", "frail")
	w.push("go", "java", "frail")
	steps := waveSteps()
	for range kills {
		controller := breaking(w.World, fmt.Sprintf("%s=%d*kill", steps[random.IntN(len(steps))], 1+random.IntN(4)))
		require.NoError(t, waitReadyOrEnded(t, controller))
		if !killedWithin(t, controller, time.Duration(1000+random.IntN(4000))*time.Millisecond) {
			require.NoError(t, controller.Kill())
		}
	}
	w.Start()
	w.known()
	w.waveIs("go", v1alpha1.WaveSucceeded)
	w.waveIs("java", v1alpha1.WaveSucceeded)
	w.waveIs("frail", v1alpha1.WaveStopped)
	require.LessOrEqual(t, w.Count("SELECT count(*) FROM wave_item WHERE pipeline LIKE 'bad-%' AND state IN ('Failed', 'Building')"), 3, "one may fail, and two were under way")
	require.Equal(t, 2*each+1, w.Count("SELECT count(*) FROM ci_build WHERE ci_pipeline NOT LIKE 'bad-%' AND ci_pipeline NOT LIKE 'on-both-%'"))
	require.Equal(t, each, w.Count("SELECT count(DISTINCT ci_pipeline) FROM ci_build WHERE ci_pipeline LIKE 'on-both-%' AND phase = 'Succeeded'"))
	require.LessOrEqual(t, w.Count("SELECT count(*) FROM ci_build WHERE ci_pipeline LIKE 'on-both-%'"), 2*each)
	require.Equal(t, 1, w.Count("SELECT count(*) FROM ci_build WHERE ci_pipeline = 'ring-0'"), "for the image that is in no ring, and not again for its own")
	w.Judge()
}

// waitReadyOrEnded waits until a controller works, unless it is killed before.
func waitReadyOrEnded(t *testing.T, controller *world.Controller) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), world.Patience)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-controller.Ended():
		case <-ctx.Done():
		}
	}()
	err := controller.WaitReady(ctx)
	select {
	case <-controller.Ended():
		return nil
	default:
		return err
	}
}

func TestAPersonsBuildDoesNotWaitForAWave(t *testing.T) {
	w, dependents := newWaving(t), sized(100, 30)
	w.template("slow", 10*time.Second)
	w.apps("app", dependents, "slow", "go")
	w.Create(given.CiPipeline("mine", given.Builds("build")))
	w.bases(50, 0, "go")
	w.push("go")
	w.Start("CI_BATCH_SIZE=2")
	w.known()
	within(t, world.Patience, "the wave is under way", func(context.Context) bool {
		return w.Count("SELECT count(*) FROM task WHERE kind = 'ci' AND status IN ('Pending', 'Submitted', 'Running')") >= 5
	})
	cpu := cpushare.Start()
	w.Create(given.CiBuild("mine-1", given.BuildOf("mine")))
	within(t, world.Patience, "it has begun", func(context.Context) bool {
		return w.Count("SELECT count(*) FROM task WHERE owner_name = 'mine' AND submitted_at IS NOT NULL") == 1
	})
	waited := time.Duration(w.Count("SELECT (extract(epoch FROM submitted_at - created_at) * 1000)::integer FROM task WHERE owner_name = 'mine'")) * time.Millisecond
	t.Logf("a person's build began %s after it was queued", waited)
	require.NoError(t, inTime(waited, 2*time.Second, cpu))
	w.waveIs("go", v1alpha1.WaveSucceeded)
	w.Judge()
}
