package baseimage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestTheNextCheckFollowsFromWhatTheLastOneCameTo(t *testing.T) {
	t.Parallel()
	good, bad := verdict{reason: v1alpha1.ReasonChecked}, verdict{reason: v1alpha1.ReasonRegistryUnreachable}
	for sentence, test := range map[string]struct {
		interval time.Duration
		failures int
		verdict  verdict
		least    time.Duration
		most     time.Duration
	}{
		"a good one by the interval, ten per cent more or less":          {10 * time.Minute, 0, good, 8*time.Minute + 59*time.Second, 11 * time.Minute},
		"the first failure after half a minute":                          {10 * time.Minute, 1, bad, 27 * time.Second, 33 * time.Second},
		"the fourth after eight times that":                              {10 * time.Minute, 4, bad, 216 * time.Second, 264 * time.Second},
		"any later one after an hour":                                    {10 * time.Minute, 1000, bad, 54 * time.Minute, 66 * time.Minute},
		"of a short interval the first failure after that":               {10 * time.Second, 1, bad, 9 * time.Second, 11 * time.Second},
		"of a long interval sooner than that":                            {24 * time.Hour, 1, bad, 27 * time.Second, 33 * time.Second},
		"a pause of the registry is waited for, and a while":             {10 * time.Minute, 9, verdict{reason: v1alpha1.ReasonRateLimited, until: noon.Add(time.Hour)}, time.Hour, time.Hour + startSpread},
		"where Penstock itself has failed soon, however often it failed": {10 * time.Minute, 9, verdict{isOwn: true}, ownRetry, ownRetry},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			known := record{failures: test.failures, spec: v1alpha1.BaseImageSpec{Interval: &metav1.Duration{Duration: test.interval}}}
			for range 100 {
				after := known.next(test.verdict, noon.Add(-time.Second), noon).Sub(noon)
				require.GreaterOrEqual(t, after, test.least)
				require.LessOrEqual(t, after, test.most)
			}
		})
	}
}

func TestANewLeaderChecksWhenTheStatusSaysAndSpreadsTheRest(t *testing.T) {
	t.Parallel()
	at := func(offset time.Duration) *metav1.Time { return &metav1.Time{Time: noon.Add(offset)} }
	for sentence, test := range map[string]struct {
		status      v1alpha1.BaseImageStatus
		least, most time.Duration
	}{
		"one that was never checked at once":         {v1alpha1.BaseImageStatus{}, 0, 0},
		"one whose spec has changed at once":         {v1alpha1.BaseImageStatus{ObservedGeneration: 1, CheckedAt: at(-time.Minute), NextCheckAt: at(time.Minute)}, 0, 0},
		"one that has its time then":                 {v1alpha1.BaseImageStatus{ObservedGeneration: 2, CheckedAt: at(-time.Minute), NextCheckAt: at(time.Minute)}, time.Minute, time.Minute},
		"one whose time has passed within a while":   {v1alpha1.BaseImageStatus{ObservedGeneration: 2, CheckedAt: at(-time.Hour), NextCheckAt: at(-time.Minute)}, 0, startSpread},
		"one whose time makes no sense as well":      {v1alpha1.BaseImageStatus{ObservedGeneration: 2, CheckedAt: at(-time.Hour), NextCheckAt: at(48 * time.Hour)}, 0, startSpread},
		"one that tells no time within a while, too": {v1alpha1.BaseImageStatus{ObservedGeneration: 2, CheckedAt: at(-time.Hour)}, 0, startSpread},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			image := given.BaseImage("debian", "debian:12", given.CheckedEvery(10*time.Minute))
			image.Generation, image.Status = 2, test.status
			got := firstCheck(image, noon).Sub(noon)
			require.GreaterOrEqual(t, got, test.least)
			require.LessOrEqual(t, got, test.most)
		})
	}
}

func TestAWishBringsTheCheckForwardOnce(t *testing.T) {
	t.Parallel()
	known := record{due: noon.Add(time.Hour), began: noon.Add(-time.Minute)}
	known.want(noon, noon)
	require.Equal(t, noon, known.due)
	require.True(t, known.isWanted())

	known.due = noon.Add(time.Hour)
	known.want(noon, noon.Add(time.Second))
	require.Equal(t, noon.Add(time.Hour), known.due, "who was heard is not heard again")

	known.began = noon
	known.want(noon.Add(time.Second), noon.Add(time.Second))
	require.Equal(t, noon.Add(minGap), known.due, "some time after the check before")

	known.due = noon
	known.want(noon.Add(time.Minute), noon.Add(time.Hour))
	require.Equal(t, noon, known.due, "it never delays a check")
}

func TestWhoMayBeRebuiltIsCounted(t *testing.T) {
	t.Parallel()
	image := func(namespace, name string, allowed ...string) v1alpha1.BaseImage {
		made := given.BaseImage(name, "debian:12", given.AllowedIn(allowed...))
		made.Namespace, made.UID = namespace, given.UID(namespace+"/"+name)
		return *made
	}
	pipeline := func(namespace string, on ...v1alpha1.BaseImageReference) v1alpha1.CiPipeline {
		made := given.CiPipeline("ci")
		made.Namespace, made.Spec.BaseImages = namespace, on
		return *made
	}
	images := []v1alpha1.BaseImage{image("base", "java", "shop"), image("base", "go"), image("shop", "java")}
	count := dependentsOf(images, []v1alpha1.CiPipeline{
		pipeline("base", v1alpha1.BaseImageReference{Name: "java"}, v1alpha1.BaseImageReference{Name: "go"}),
		pipeline("shop", v1alpha1.BaseImageReference{Name: "java", Namespace: "base"}, v1alpha1.BaseImageReference{Name: "java"}),
		pipeline("web", v1alpha1.BaseImageReference{Name: "java", Namespace: "base"}),
		pipeline("web", v1alpha1.BaseImageReference{Name: "unknown", Namespace: "base"}),
		pipeline("web"),
	})
	require.Equal(t, int32(2), count[images[0].UID], "of base and shop, but not of web, which is not allowed")
	require.Equal(t, int32(1), count[images[1].UID])
	require.Equal(t, int32(1), count[images[2].UID])
}
