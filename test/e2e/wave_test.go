package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/receiver"
	"github.com/penstock-cd/penstock/test/registry"
	"github.com/penstock-cd/penstock/test/world"
)

// newBasedWorld may reach loopback, where its registry is, which no installation of others does.
func newBasedWorld(t *testing.T, takes time.Duration) *world.World {
	t.Helper()
	w := newNarrowWorld(t, "OUTBOUND_ALLOWED_NETWORKS=127.0.0.1/32")
	none := wfv1.AnyString("none")
	w.Create(given.Declares(given.BuildTemplate("build", builtImage, takes), wfv1.Parameter{Name: "build"}, wfv1.Parameter{Name: "baseImages", Value: &none}))
	return w
}

// checkNow has the registry asked now, and waits until the digest is known.
func checkNow(t *testing.T, w *world.World, image, digest string) {
	t.Helper()
	w.Eventually("the digest of "+image+" is known", func(ctx context.Context) bool {
		if w.Count(`SELECT count(*) FROM base_image WHERE name = $1 AND digest = $2`, image, digest) == 1 {
			return true
		}
		_, err := w.Database.Exec(ctx, `UPDATE base_image SET check_wanted_at = now() WHERE name = $1 AND check_wanted_at IS NULL`, image)
		require.NoError(t, err)
		return false
	})
}

// waveIs waits until the wave of an image stands so.
func waveIs(t *testing.T, w *world.World, image string, number int64, state v1alpha1.WaveState) *v1alpha1.BaseImageWave {
	t.Helper()
	var last *v1alpha1.BaseImageWave
	w.Eventually(fmt.Sprintf("wave %d of %s is %s", number, image, state), func(context.Context) bool {
		last = get(t, w, image, &v1alpha1.BaseImage{}).Status.Wave
		return last != nil && last.Number == number && last.State == state
	})
	return last
}

func TestAChangeOfABaseImageRebuildsWhatIsBuiltOnItOnce(t *testing.T) {
	t.Parallel()
	const dependents = 20
	w, images := newBasedWorld(t, time.Second), registry.New(t)
	first := images.Push(t, "base/go:1", 1)
	w.Create(given.BaseImage("go", images.Host+"/base/go:1", given.Settled(time.Second)))
	for n := range dependents {
		name := fmt.Sprintf("app-%d", n)
		w.Create(given.CiPipeline(name, given.Builds("build"), given.BuiltOn("go")), given.CdPipeline(name+"-cd", given.BelowCi(name)))
	}
	w.Create(given.CiPipeline("paused", given.Builds("build"), given.BuiltOn("go"), func(p *v1alpha1.CiPipeline) { p.Spec.Suspend = true }),
		given.CiPipeline("other", given.Builds("build")))
	w.Start()
	checkNow(t, w, "go", first)
	require.Zero(t, w.Count(`SELECT count(*) FROM wave`), "the first digest is no change")
	second := images.Push(t, "base/go:1", 1)
	checkNow(t, w, "go", second)
	done := waveIs(t, w, "go", 1, v1alpha1.WaveSucceeded)
	require.EqualValues(t, dependents+1, done.Total)
	require.EqualValues(t, dependents, done.Succeeded)
	require.EqualValues(t, 1, done.Skipped)
	require.Equal(t, second, done.Digest)
	w.Eventually("all are deployed", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome = 'Succeeded'`) == dependents
	})
	var builds v1alpha1.CiBuildList
	require.NoError(t, w.Cluster.List(t.Context(), &builds))
	require.Len(t, builds.Items, dependents)
	require.Equal(t, v1alpha1.CauseBaseImage, builds.Items[0].Spec.Cause.Type)
	for _, workflow := range w.Workflows() {
		for _, parameter := range workflow.Spec.Arguments.Parameters {
			if parameter.Name == "baseImages" {
				require.JSONEq(t, fmt.Sprintf(`[{"name":"go","image":%q,"digest":%q}]`, images.Host+"/base/go:1", second), parameter.Value.String())
			}
		}
	}
	w.KubectlTells("get baseimage go", "21/21", "Succeeded", second)
	w.Judge()
}

func TestAWaveStopsWhenTooManyBuildsFailAndAPersonDecides(t *testing.T) {
	t.Parallel()
	w, images := newBasedWorld(t, time.Second), registry.New(t)
	first := images.Push(t, "base/go:1", 1)
	base := given.BaseImage("go", images.Host+"/base/go:1", given.Settled(0), given.Rebuilding(1, 1))
	w.Create(base)
	for n := range 5 {
		w.Create(given.CiPipeline(fmt.Sprintf("bad-%d", n), given.Builds("failing-pod"), given.BuiltOn("go")))
	}
	w.MayReadSecrets()
	slack := receiver.NewSlack(t)
	w.Create(given.Secret("slack", map[string]string{"token": "xoxb-1"}), given.SlackChannel("chat", "slack", slack.URL()),
		given.Policy("team", []v1alpha1.NotificationEvent{v1alpha1.EventWaveStopped, v1alpha1.EventWaveFinished}, "chat"))
	w.Start()
	checkNow(t, w, "go", first)
	checkNow(t, w, "go", images.Push(t, "base/go:1", 1))
	stopped := waveIs(t, w, "go", 1, v1alpha1.WaveStopped)
	require.EqualValues(t, 2, stopped.Failed)
	require.EqualValues(t, 3, stopped.Pending)
	w.Eventually("Slack tells that it has stopped", func(context.Context) bool {
		requests := slack.Requests()
		return len(requests) == 1 && strings.Contains(requests[0].Text, "wave 1 of BaseImage go has stopped: 0 of 5 built, 2 failed, 0 skipped")
	})
	w.Create(given.RunRequest("go-on", v1alpha1.ActionResume, given.OfTarget("BaseImage", "go")))
	answered(t, w, "go-on", v1alpha1.RequestDone, "wave 1 of BaseImage go goes on")
	w.Eventually("it stops again", func(context.Context) bool {
		last := get(t, w, "go", &v1alpha1.BaseImage{}).Status.Wave
		return last.State == v1alpha1.WaveStopped && last.Failed == 4
	})
	w.Create(given.RunRequest("give-up", v1alpha1.ActionCancel, given.OfTarget("BaseImage", "go")))
	answered(t, w, "give-up", v1alpha1.RequestDone, "is given up")
	cancelled := waveIs(t, w, "go", 1, v1alpha1.WaveCancelled)
	require.EqualValues(t, 1, cancelled.Skipped)
	w.Eventually("Slack tells of the end in the same message", func(context.Context) bool {
		requests := slack.Requests()
		last := requests[len(requests)-1]
		return last.Method == "chat.update" && strings.Contains(last.Text, "wave 1 of BaseImage go has ended as Cancelled")
	})
	w.Create(given.RunRequest("too-late", v1alpha1.ActionResume, given.OfTarget("BaseImage", "go")))
	answered(t, w, "too-late", v1alpha1.RequestRefused, "has not stopped: it is Cancelled")
	w.Judge()
}

func TestBasesOfBasesAreRebuiltInOrderAndOnce(t *testing.T) {
	t.Parallel()
	w, images := newBasedWorld(t, time.Second), registry.New(t)
	first := images.Push(t, "base/go:1", 1)
	w.Create(given.BaseImage("go", images.Host+"/base/go:1", given.Settled(time.Second)),
		given.CiPipeline("mid", given.Builds("build"), given.BuiltOn("go")),
		given.BaseImage("mid", builtImage, given.BuiltBy("mid"), given.Settled(time.Second)),
		given.CiPipeline("app", given.Builds("build"), given.BuiltOn("go", "mid")),
		given.CiPipeline("ring", given.Builds("build"), given.BuiltOn("ring")), given.BaseImage("ring", builtImage+"/ring", given.BuiltBy("ring")))
	w.Start()
	checkNow(t, w, "go", first)
	w.Create(given.CiBuild("mid-1", given.BuildOf("mid")))
	w.Eventually("the image in between is known", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM base_image WHERE name = 'mid' AND digest <> ''`) == 1
	})
	checkNow(t, w, "go", images.Push(t, "base/go:1", 1))
	waveIs(t, w, "go", 1, v1alpha1.WaveSucceeded)
	waveIs(t, w, "mid", 1, v1alpha1.WaveSucceeded)
	var builds v1alpha1.CiBuildList
	require.NoError(t, w.Cluster.List(t.Context(), &builds))
	of := map[string][]v1alpha1.CiBuild{}
	for _, build := range builds.Items {
		of[build.Spec.PipelineRef.Name] = append(of[build.Spec.PipelineRef.Name], build)
	}
	require.Len(t, of["mid"], 2, "one of a person, one of the wave")
	require.Len(t, of["app"], 1, "once, although both of its bases changed")
	require.Contains(t, of["app"][0].Spec.Cause.By, "/mid", "after the image in between")
	w.Eventually("the ring is named", func(context.Context) bool {
		condition := meta.FindStatusCondition(get(t, w, "ring", &v1alpha1.BaseImage{}).Status.Conditions, v1alpha1.ConditionRebuilds)
		return condition != nil && condition.Reason == string(v1alpha1.ReasonRing)
	})
	w.Judge()
}
