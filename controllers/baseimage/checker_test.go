package baseimage

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

func TestAnImageThatChangesIsToldWithWhatItWasBefore(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.registry.Push(t, "base/java:17", 3)
	s.add("java", "base/java:17")
	status := s.becomes("java", v1alpha1.ReasonChecked, first)
	require.NotNil(t, status.CheckedAt)
	require.WithinDuration(t, s.clock.now().Add(5*time.Minute), status.NextCheckAt.Time, 35*time.Second)
	require.Equal(t, "127.0.0.1", strings.Split(s.row("repository"), ":")[0])
	require.Empty(t, s.row("wave_due_at"), "the first digest is no change")

	second := s.registry.Push(t, "base/java:17", 3)
	s.pass(6 * time.Minute)
	status = s.becomes("java", v1alpha1.ReasonChecked, second)
	require.Equal(t, first, status.PreviousDigest)
	require.Equal(t, "00:00:30", s.row("wave_due_at - changed_at"))
	require.Equal(t, "Normal DigestChanged "+s.registry.Host+"/base/java:17 is now "+second+", it was "+first, s.event())
	for _, request := range s.registry.Requests() {
		require.NotContains(t, request, "GET /v2/base", "nothing is pulled")
	}
}

func TestNothingIsWrittenWhileNothingChanges(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	digest := s.registry.Push(t, "base/java:17", 1)
	s.add("java", "base/java:17", given.CheckedEvery(10*time.Second))
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	version := s.read("java").ResourceVersion
	for range 3 {
		s.registry.Requests()
		s.pass(15 * time.Second)
		s.heads("base/java", "17", 1)
	}
	s.looks()
	require.Equal(t, version, s.read("java").ResourceVersion)
}

func TestARegistryWebhookBringsTheCheckForward(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add("java", "base/java:17", given.CheckedEvery(24*time.Hour))
	s.tells("java", "404 Not Found")
	digest := s.registry.Push(t, "base/java:17", 1)
	s.pass(minGap)
	s.registry.Requests()
	names, err := s.store.WantBaseImageChecks(t.Context(), s.namespace, s.registry.Host+"/base/java", "17")
	require.NoError(t, err)
	require.Equal(t, []string{"java"}, names)
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	require.Empty(t, s.row("check_wanted_at"))
	s.pass(2 * minGap)
	s.looks()
	require.Equal(t, 1, s.registry.Count("HEAD /v2/base/java/manifests/17"), "once")
}

func TestAFailureIsToldAndTheLastGoodDigestStays(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	digest := s.registry.Push(t, "base/java:17", 1)
	s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	for reason, status := range map[v1alpha1.Reason]int{
		v1alpha1.ReasonRegistryRefused: http.StatusForbidden, v1alpha1.ReasonRegistryUnreachable: http.StatusBadGateway, v1alpha1.ReasonImageNotFound: http.StatusNotFound,
	} {
		s.registry.Before(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			return true
		})
		s.pass(time.Hour)
		s.becomes("java", reason, digest)
		message := s.tells("java", ": the next check is at ")
		require.Contains(t, message, s.registry.Host+": "+strconv.Itoa(status)+" "+http.StatusText(status))
		require.Contains(t, s.event(), "Warning "+string(reason)+" "+s.registry.Host+"/base/java:17: ")
	}
	s.registry.Before(nil)
	s.pass(time.Hour)
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	require.Contains(t, s.event(), "Normal Checked")
	require.Equal(t, digest, s.row("digest"))
	require.Empty(t, s.row("wave_due_at"))
}

func TestARegistryThatAsksForAPauseIsAskedNothingForAnyImage(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	java, golang := s.registry.Push(t, "base/java:17", 1), s.registry.Push(t, "base/go:1", 1)
	s.registry.Before(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "1800")
		http.Error(w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}`, http.StatusTooManyRequests)
		return true
	})
	s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonRateLimited, "")
	s.tells("java", "TOOMANYREQUESTS: pull rate limit: "+s.registry.Host+" is asked nothing until ")
	s.registry.Before(nil)
	s.registry.Requests()

	s.add("go", "base/go:1")
	s.becomes("go", v1alpha1.ReasonRateLimited, "")
	require.Empty(t, s.registry.Requests())
	s.pass(25 * time.Minute)
	s.looks()
	require.Empty(t, s.registry.Requests(), "the pause is not over")
	s.pass(6 * time.Minute)
	s.becomes("java", v1alpha1.ReasonChecked, java)
	s.becomes("go", v1alpha1.ReasonChecked, golang)
}

func TestAPullSecretIsReadWhenItIsUsed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.registry.RequireToken("ann", "hunter2-hunter2")
	digest := s.registry.Push(t, "base/java:17", 1)
	s.add("java", "base/java:17", given.PulledWith("registry"))
	s.becomes("java", v1alpha1.ReasonSecretNotFound, "")
	s.tells("java", "the Secret registry does not exist in namespace "+s.namespace+": create it: the next check is at ")
	require.Empty(t, s.registry.Requests())

	s.secret("registry", "ann", "hunter2-wrong")
	s.pass(time.Minute)
	s.becomes("java", v1alpha1.ReasonRegistryRefused, "")
	s.tells("java", "401 Unauthorized: incorrect username or password: [redacted]: check spec.pullSecretRef")

	s.secret("registry", "ann", "hunter2-hunter2")
	s.pass(10 * time.Minute)
	s.becomes("java", v1alpha1.ReasonChecked, digest)

	s.secret("registry", "ann", "hunter2-rotated")
	s.registry.RequireToken("ann", "hunter2-rotated")
	s.registry.Requests()
	s.pass(10 * time.Minute)
	s.heads("base/java", "17", 1)
	s.looks()
	s.becomes("java", v1alpha1.ReasonChecked, digest)
}

func TestASecretThatMayNotBeReadIsToldWithTheRightThatIsMissing(t *testing.T) {
	t.Parallel()
	nobody := rest.CopyConfig(local.Config)
	nobody.Impersonate.UserName = "nobody"
	live, err := client.New(nobody, client.Options{})
	require.NoError(t, err)
	s := newScene(t, func(c *Config) { c.Live = live })
	s.secret("registry", "ann", "hunter2-hunter2")
	s.add("java", "base/java:17", given.PulledWith("registry"))
	s.becomes("java", v1alpha1.ReasonForbidden, "")
	s.tells("java", "not allowed to read the Secret registry in namespace "+s.namespace+": bind the ClusterRole penstock-base-images there")
	require.Empty(t, s.registry.Requests())
}

// broken fails to read as long as it is told to.
type broken struct {
	client.Reader
	fails, panics atomic.Bool
	reads         atomic.Int64
}

func (b *broken) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	defer b.reads.Add(1)
	if b.panics.Load() {
		panic("broken")
	}
	if b.fails.Load() {
		return errors.New("the API server is away")
	}
	return b.Reader.Get(ctx, key, object, options...)
}

func TestAFailureOfPenstocksOwnSaysNothingOfTheImage(t *testing.T) {
	t.Parallel()
	live := &broken{}
	s := newScene(t, func(c *Config) { live.Reader = c.Live; c.Live = live })
	digest := s.registry.Push(t, "base/java:17", 1)
	s.secret("registry", "ann", "hunter2-hunter2")
	s.add("java", "base/java:17", given.PulledWith("registry"))
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	next := s.registry.Push(t, "base/java:17", 1)
	for i, failure := range []*atomic.Bool{&live.fails, &live.panics} {
		failure.Store(true)
		before := live.reads.Load()
		s.pass(6 * time.Minute)
		require.Eventually(t, func() bool { return live.reads.Load() > before }, patience, 10*time.Millisecond)
		s.looks()
		failure.Store(false)
		s.becomes("java", v1alpha1.ReasonChecked, digest)
		require.Equal(t, before+1, live.reads.Load(), "failure %d is tried again after a while", i)
	}
	s.pass(ownRetry)
	s.becomes("java", v1alpha1.ReasonChecked, next)
}

func TestASecretThatIsForAnotherRegistryIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.registry.Push(t, "base/java:17", 1)
	secret := given.Secret("registry", map[string]string{".dockerconfigjson": `{"auths":{"registry.example.org":{"username":"ann","password":"hunter2"}}}`})
	secret.Namespace, secret.Type = s.namespace, "kubernetes.io/dockerconfigjson"
	require.NoError(t, s.cluster.Create(t.Context(), secret))
	s.add("java", "base/java:17", given.PulledWith("registry"))
	s.becomes("java", v1alpha1.ReasonInvalidSecret, "")
	s.tells("java", "the Secret registry is not used: it holds no credentials for "+s.registry.Host+"/base/java, but for registry.example.org")
	require.Empty(t, s.registry.Requests())
}

func TestAnImageThatIsBuiltHereFollowsItsBuilds(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add("java", "base/java:17", given.BuiltBy("java-base"))
	s.becomes("java", v1alpha1.ReasonUnchecked, "")
	s.tells("java", "there is no CiPipeline java-base in namespace "+s.namespace)
	pipeline := given.CiPipeline("java-base")
	pipeline.Namespace = s.namespace
	require.NoError(t, s.cluster.Create(t.Context(), pipeline))
	s.pass(builtInterval)
	s.tells("java", "no build of CiPipeline java-base that succeeded has made an artifact of "+s.registry.Host+"/base/java")

	built := func(name string, minute int, letter string) string {
		digest := "sha256:" + strings.Repeat(letter, 64)
		s.plan(name, minute, v1alpha1.Artifact{Image: s.registry.Host + "/base/java:" + name, Digest: digest})
		s.pass(builtInterval)
		return digest
	}
	first := built("b1", 1, "a")
	s.becomes("java", v1alpha1.ReasonChecked, first)
	require.Nil(t, s.read("java").Status.NextCheckAt)
	require.Empty(t, s.row("wave_due_at"))
	second := built("b3", 3, "b")
	require.Equal(t, first, s.becomes("java", v1alpha1.ReasonChecked, second).PreviousDigest)
	require.NotEmpty(t, s.row("wave_due_at"))
	built("b2", 2, "c") // an older build that has ended later
	s.looks()
	s.becomes("java", v1alpha1.ReasonChecked, second)
	require.Empty(t, s.registry.Requests(), "no registry is asked")
}

func TestASuspendedImageIsNotChecked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	digest := s.registry.Push(t, "base/java:17", 1)
	image := s.add("java", "base/java:17", func(b *v1alpha1.BaseImage) { b.Spec.Suspend = true })
	s.becomes("java", v1alpha1.ReasonSuspended, "")
	_, err := s.store.WantBaseImageChecks(t.Context(), s.namespace, s.registry.Host+"/base/java", "")
	require.NoError(t, err)
	s.pass(time.Hour)
	s.looks()
	require.Empty(t, s.registry.Requests())
	s.change(image, `{"suspend":false}`)
	s.becomes("java", v1alpha1.ReasonChecked, digest)
}

func TestAnotherTagIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	old, next := s.registry.Push(t, "base/java:17", 1), s.registry.Push(t, "base/java:21", 1)
	image := s.add("java", "base/java:17", given.CheckedEvery(24*time.Hour))
	s.becomes("java", v1alpha1.ReasonChecked, old)
	s.change(image, `{"image":"`+s.registry.Host+`/base/java:21"}`)
	require.Equal(t, old, s.becomes("java", v1alpha1.ReasonChecked, next).PreviousDigest)
	require.Equal(t, "21", s.row("tag"))
	require.NotEmpty(t, s.row("wave_due_at"), "what is built on it is built on another image now")
}

func TestAnImageThatIsDeletedIsForgotten(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.registry.Push(t, "base/java:17", 1)
	image := s.add("java", "base/java:17")
	s.heads("base/java", "17", 1)
	require.NoError(t, s.cluster.Delete(t.Context(), image))
	require.Eventually(t, func() bool { return s.row("deleted_at") != "" }, patience, 20*time.Millisecond)
}

func TestOneThatIsDeletedWhileNobodyLooksIsForgottenAtTheStart(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	digest := s.registry.Push(t, "base/java:17", 1)
	image := s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	s.stop()
	require.NoError(t, s.cluster.Delete(t.Context(), image))
	s.restart()
	require.Eventually(t, func() bool { return s.row("deleted_at") != "" }, patience, 20*time.Millisecond)
}

func TestANewLeaderKeepsToTheTimesOfTheOldOne(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	digest := s.registry.Push(t, "base/java:17", 1)
	s.add("java", "base/java:17", given.CheckedEvery(time.Hour))
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	version := s.read("java").ResourceVersion
	s.registry.Requests()
	s.restart()
	s.looks()
	require.Empty(t, s.registry.Requests())
	require.Equal(t, version, s.read("java").ResourceVersion)
	changed := s.registry.Push(t, "base/java:17", 1)
	s.pass(70 * time.Minute)
	require.Equal(t, digest, s.becomes("java", v1alpha1.ReasonChecked, changed).PreviousDigest)
}

func TestACheckThatCantBeNotedIsNotedLaterAndToldOnlyThen(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.registry.Push(t, "base/java:17", 1)
	s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonChecked, first)
	second := s.registry.Push(t, "base/java:17", 1)
	s.rows.fails.Store(true)
	s.registry.Requests()
	s.pass(6 * time.Minute)
	require.Eventually(t, func() bool { return s.rows.failed.Load() > 1 }, patience, 10*time.Millisecond)
	require.Equal(t, 1, s.registry.Count("HEAD /v2/base/java/manifests/17"), "it is not made again before it is noted")
	require.Equal(t, first, s.read("java").Status.Digest)
	require.Equal(t, first, s.row("digest"))
	s.rows.fails.Store(false)
	s.becomes("java", v1alpha1.ReasonChecked, second)
	require.Equal(t, second, s.row("digest"))
}

func TestACheckerThatWasReplacedChangesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	old := s.registry.Push(t, "base/java:17", 1)
	s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonChecked, old)
	// Another one has seen a newer digest, which the registry's cache does not show yet.
	newer := "sha256:" + strings.Repeat("e", 64)
	_, err := s.store.Pool().Exec(t.Context(), "UPDATE base_image SET digest = $1, previous_digest = digest", newer)
	require.NoError(t, err)
	s.registry.Requests()
	s.pass(6 * time.Minute)
	s.heads("base/java", "17", 1)
	require.Equal(t, old, s.becomes("java", v1alpha1.ReasonChecked, newer).PreviousDigest)
	require.Equal(t, newer, s.row("digest"), "the row counts, and what was seen before is not noted")
}

func TestASlowRegistryKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	digest := s.registry.Push(t, "base/java:17", 1)
	slow := s.slowRegistry()
	for i := range 2 * perRegistry {
		image := given.BaseImage("slow-"+strconv.Itoa(i), slow.host+"/base/java-"+strconv.Itoa(i)+":17")
		image.Namespace = s.namespace
		require.NoError(t, s.cluster.Create(t.Context(), image))
	}
	require.Eventually(t, func() bool { return slow.asked.Load() >= perRegistry }, patience, 10*time.Millisecond)
	s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	require.Equal(t, int64(perRegistry), slow.asked.Load(), "at one registry are no more at once")
}

func TestPipelinesThatAreBuiltOnAnImageAreCounted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	digest := s.registry.Push(t, "base/java:17", 1)
	s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonChecked, digest)
	for _, name := range []string{"shop", "web"} {
		pipeline := given.CiPipeline(name)
		pipeline.Namespace = s.namespace
		pipeline.Spec.Workflow = &v1alpha1.BuildWorkflow{TemplateRef: v1alpha1.TemplateReference{Name: "build"}}
		pipeline.Spec.BaseImages = []v1alpha1.BaseImageReference{{Name: "java"}}
		require.NoError(t, s.cluster.Create(t.Context(), pipeline))
	}
	require.Eventually(t, func() bool {
		s.pass(dependentsInterval)
		return s.read("java").Status.Dependents == 2
	}, patience, 50*time.Millisecond)
}

func TestChecksAreCountedByWhatTheyCameTo(t *testing.T) {
	t.Parallel()
	before := testutil.ToFloat64(checks.WithLabelValues(string(v1alpha1.ReasonInvalidAnswer)))
	s := newScene(t)
	s.registry.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.Header().Set("Docker-Content-Digest", "latest")
		}
		return r.Method == http.MethodHead
	})
	s.add("java", "base/java:17")
	s.becomes("java", v1alpha1.ReasonInvalidAnswer, "")
	require.Greater(t, testutil.ToFloat64(checks.WithLabelValues(string(v1alpha1.ReasonInvalidAnswer))), before)
}

func TestTheTimesOfChecksAloneAreNotWrittenOften(t *testing.T) {
	t.Parallel()
	at := func(offset time.Duration) *metav1.Time { return &metav1.Time{Time: noon.Add(offset)} }
	before := v1alpha1.BaseImageStatus{Digest: "a", CheckedAt: at(0), NextCheckAt: at(time.Minute)}
	after := before
	require.False(t, needsWrite(before, after))
	after.CheckedAt, after.NextCheckAt = at(4*time.Minute), at(5*time.Minute)
	require.False(t, needsWrite(before, after))
	after.CheckedAt = at(refresh)
	require.True(t, needsWrite(before, after))
	after = before
	after.Digest = "b"
	require.True(t, needsWrite(before, after))
}

func TestTheCheckerStartsOnceAndStopsAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	lifecycle.Stress(t, func() manager.Runnable { return New(s.Config) })
}
