package v1alpha1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestABaseImageIsAcceptedWithItsDefaults(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	base := given.BaseImage("debian", "debian:12")
	require.NoError(t, p.create(t, base))
	require.Equal(t, 5*time.Minute, base.Spec.Interval.Duration)
	require.Equal(t, v1alpha1.Rebuild{
		MaxParallel: 10, MaxFailures: ptr.To[int32](5), Settle: &metav1.Duration{Duration: 30 * time.Second},
	}, base.Spec.Rebuild)
	none := given.BaseImage("strict", "debian:12", func(b *v1alpha1.BaseImage) { b.Spec.Rebuild.MaxFailures = ptr.To[int32](0) })
	require.NoError(t, p.create(t, none))
	require.Zero(t, *none.Spec.Rebuild.MaxFailures, "no failure is borne")
}

func TestWhatABaseImageSaysMustBeUsable(t *testing.T) {
	t.Parallel()
	type base = v1alpha1.BaseImage
	const (
		badImage    = "spec.image in body should match"
		badInterval = "interval must be a duration from 10s to 24h, such as 5m"
		badSettle   = "settle must be a duration from 0s to 1h, such as 30s"
	)
	image := func(image string) func(*base) { return func(b *base) { b.Spec.Image = image } }
	rebuild := func(change func(*v1alpha1.Rebuild)) func(*base) { return func(b *base) { change(&b.Spec.Rebuild) } }
	for sentence, tc := range map[string]struct {
		change  func(*base)
		refusal string
	}{
		"a short name of Docker Hub":                  {image("debian"), ""},
		"a registry with a port":                      {image("registry.example.org:5000/base/java:17-jre"), ""},
		"an address of IPv6":                          {image("[2001:db8::1]:5000/base/java:17"), ""},
		"nothing is no image":                         {image(""), "spec.image in body should be at least 1 chars long"},
		"a digest is refused":                         {image("debian@sha256:" + strings.Repeat("a", 64)), badImage},
		"a tag with a digest is refused":              {image("debian:12@sha256:" + strings.Repeat("a", 64)), badImage},
		"a scheme is refused":                         {image("https://registry.example.org/java:17"), badImage},
		"a repository in upper case is refused":       {image("registry.example.org/Java:17"), badImage},
		"a path that climbs is refused":               {image("registry.example.org/../java:17"), badImage},
		"a password is refused":                       {image("me:secret@registry.example.org/java:17"), badImage},
		"two lines are refused":                       {image("debian:12\n"), badImage},
		"an interval of 10 seconds":                   {given.CheckedEvery(10 * time.Second), ""},
		"an interval of a day":                        {given.CheckedEvery(24 * time.Hour), ""},
		"a shorter interval is refused":               {given.CheckedEvery(9999 * time.Millisecond), badInterval},
		"a longer interval is refused":                {given.CheckedEvery(24*time.Hour + time.Second), badInterval},
		"settling for no time":                        {given.Settled(0), ""},
		"settling for an hour":                        {given.Settled(time.Hour), ""},
		"settling for longer is refused":              {given.Settled(time.Hour + time.Second), badSettle},
		"a pull Secret":                               {given.PulledWith("registry"), ""},
		"a pull Secret of another namespace":          {given.PulledWith("other/registry"), "spec.pullSecretRef.name"},
		"built here":                                  {given.BuiltBy("java"), ""},
		"built by nothing is refused":                 {given.BuiltBy(""), "spec.from.pipelineRef.name"},
		"built in another namespace is refused":       {given.BuiltBy("other/java"), "spec.from.pipelineRef.name"},
		"own namespace and two others":                {given.AllowedIn("shop", "web"), ""},
		"all namespaces":                              {given.AllowedIn("*"), ""},
		"a pattern of namespaces is refused":          {given.AllowedIn("shop-*"), "spec.allowedNamespaces[0]"},
		"a namespace named twice is refused":          {given.AllowedIn("shop", "shop"), `spec.allowedNamespaces[1]: Duplicate value: "shop"`},
		"a thousand builds at once":                   {rebuild(func(r *v1alpha1.Rebuild) { r.MaxParallel = 1000 }), ""},
		"more builds at once are refused":             {rebuild(func(r *v1alpha1.Rebuild) { r.MaxParallel = 1001 }), "spec.rebuild.maxParallel in body should be less than or equal to 1000"},
		"fewer failures than none are refused":        {rebuild(func(r *v1alpha1.Rebuild) { r.MaxFailures = ptr.To[int32](-1) }), "spec.rebuild.maxFailures in body should be greater than or equal to 0"},
		"a pull Secret for what is built here is not": {func(b *base) { given.BuiltBy("java")(b); given.PulledWith("a")(b) }, "spec.pullSecretRef: Invalid value: pullSecretRef is not used with from"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			requireAdmission(t, tc.refusal, p.create(t, given.BaseImage("base", "debian:12", tc.change)))
		})
	}
}

func TestATableTellsHowABaseImageIsDoing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	base := given.BaseImage("debian", "debian:12")
	require.NoError(t, p.create(t, base))
	const columns = "Name | Image | Digest | Checked | Dependents | Wave | State | Ready\n"
	require.Equal(t, columns+"debian | debian:12 | - | - | - | - | - | -", table(t, p, "baseimages"))
	require.NoError(t, p.patchStatus(t, base, `{"status":{"digest":"sha256:abc","dependents":100,`+
		`"checkedAt":"`+time.Now().UTC().Add(-26*time.Hour).Format(time.RFC3339)+`",`+
		`"wave":{"number":3,"digest":"sha256:abc","total":100,"pending":2,"running":1,"succeeded":96,"failed":1,"skipped":0,"state":"Running","progress":"97/100"},`+
		`"conditions":[{"type":"Ready","status":"True","reason":"Checked","message":"","lastTransitionTime":"2026-01-01T03:04:05Z"}]}}`))
	require.Equal(t, columns+"debian | debian:12 | sha256:abc | 26h | 100 | 97/100 | Running | Checked", table(t, p, "baseimages"))
}
