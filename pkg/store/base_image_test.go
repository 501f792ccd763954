package store_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func digestOf(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }

// debian is a base image that exists.
var debian = store.MirroredBaseImage{
	UID: "uid-debian", Namespace: "base", Name: "debian", Image: "debian:12", Repository: "index.docker.io/library/debian", Tag: "12",
}

func based(t *testing.T, s *store.Store, images ...store.MirroredBaseImage) map[string]store.BaseImageState {
	t.Helper()
	states, err := s.MirrorBaseImages(t.Context(), images)
	require.NoError(t, err)
	require.Len(t, states, len(images))
	return states
}

// checked notes that a check of debian has found a digest, and returns what is known then.
func checked(t *testing.T, s *store.Store, before, found string) (store.BaseImageState, bool) {
	t.Helper()
	states, err := s.RecordBaseImageChecks(t.Context(), []store.BaseImageCheck{
		{UID: debian.UID, Image: debian.Image, Before: before, Digest: found, Settle: 30 * time.Second},
	})
	require.NoError(t, err)
	state, noted := states[debian.UID]
	return state, noted
}

// waveOf is what is known of the next wave.
func waveOf(t *testing.T, s *store.Store) []string {
	t.Helper()
	return table(t, s, `SELECT left(right(digest, 1), 1), left(right(previous_digest, 1), 1),
		COALESCE((wave_due_at - changed_at)::text, 'none') FROM base_image`)
}

func TestAnotherDigestStartsAWaveAndTheFirstOneDoesNot(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	require.Equal(t, store.BaseImageState{Image: "debian:12"}, based(t, s, debian)[debian.UID])
	a, b, c := digestOf("a"), digestOf("b"), digestOf("c")

	first, _ := checked(t, s, "", a)
	require.Equal(t, a, first.Digest)
	require.NotZero(t, first.CheckedAt)
	require.Equal(t, []string{"a  none"}, waveOf(t, s), "there is nothing to rebuild")

	same, _ := checked(t, s, a, a)
	require.Equal(t, first.ChangedAt, same.ChangedAt)
	require.True(t, same.CheckedAt.After(first.CheckedAt))
	require.Equal(t, []string{"a  none"}, waveOf(t, s))

	second, _ := checked(t, s, a, b)
	require.Equal(t, b, second.Digest)
	require.Equal(t, a, second.PreviousDigest)
	require.Equal(t, []string{"b a 00:00:30"}, waveOf(t, s))

	due := table(t, s, "SELECT wave_due_at FROM base_image")
	third, _ := checked(t, s, b, c)
	require.Equal(t, b, third.PreviousDigest)
	require.Equal(t, due, table(t, s, "SELECT wave_due_at FROM base_image"), "two changes make one wave, which the second does not delay")
}

func TestAFailedCheckLeavesTheLastGoodDigest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	based(t, s, debian)
	before, _ := checked(t, s, "", digestOf("a"))
	after, noted := checked(t, s, digestOf("a"), "")
	require.True(t, noted)
	require.Equal(t, before, after)
}

func TestASlowerCheckerChangesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	based(t, s, debian)
	checked(t, s, "", digestOf("a"))
	checked(t, s, digestOf("a"), digestOf("b"))
	rows := fingerprint(t, s)
	_, noted := checked(t, s, digestOf("a"), digestOf("a"))
	require.False(t, noted, "it has begun before the digest changed")
	other := debian
	other.Image, other.Tag = "debian:13", "13"
	require.Equal(t, rows, fingerprint(t, s))
	require.Equal(t, digestOf("b"), based(t, s, other)[debian.UID].Digest, "the last good digest stays")
	_, noted = checked(t, s, digestOf("b"), digestOf("c"))
	require.False(t, noted, "it has asked for another tag")
}

func TestOfChecksAtOnceOneIsNoted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	based(t, s, debian)
	checked(t, s, "", digestOf("a"))
	var noted sync.Map
	var checking sync.WaitGroup
	for _, letter := range []string{"b", "c", "d", "e", "f"} {
		checking.Go(func() {
			states, err := s.RecordBaseImageChecks(t.Context(), []store.BaseImageCheck{
				{UID: debian.UID, Image: debian.Image, Before: digestOf("a"), Digest: digestOf(letter)},
			})
			if err == nil && len(states) == 1 {
				noted.Store(letter, true)
			}
		})
	}
	checking.Wait()
	count := 0
	noted.Range(func(_, _ any) bool { count++; return true })
	require.Equal(t, 1, count)
}

func TestAWishForACheckIsFulfilledOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	other, suffix := debian, debian
	other.UID, other.Name, other.Image, other.Tag = "uid-13", "debian-13", "debian:13", "13"
	suffix.UID, suffix.Namespace = "uid-shop", "shop"
	based(t, s, debian, other, suffix)
	names, err := s.WantBaseImageChecks(t.Context(), "base", debian.Repository, "12")
	require.NoError(t, err)
	require.Equal(t, []string{"debian"}, names)
	wanted, err := s.WantedBaseImages(t.Context())
	require.NoError(t, err)
	require.Len(t, wanted, 1)

	_, err = s.WantBaseImageChecks(t.Context(), "base", debian.Repository, "12") // meanwhile again
	require.NoError(t, err)
	_, err = s.RecordBaseImageChecks(t.Context(), []store.BaseImageCheck{{UID: debian.UID, Image: debian.Image, Digest: digestOf("a"), WantedAt: wanted[debian.UID]}})
	require.NoError(t, err)
	wanted, err = s.WantedBaseImages(t.Context())
	require.NoError(t, err)
	require.Len(t, wanted, 1, "the check had begun before")
	_, err = s.RecordBaseImageChecks(t.Context(), []store.BaseImageCheck{{UID: debian.UID, Image: debian.Image, Before: digestOf("a"), WantedAt: wanted[debian.UID]}})
	require.NoError(t, err)
	wanted, err = s.WantedBaseImages(t.Context())
	require.NoError(t, err)
	require.Empty(t, wanted, "also by a check that has failed")

	names, err = s.WantBaseImageChecks(t.Context(), "base", debian.Repository, "")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"debian", "debian-13"}, names, "where the tag is not known")
	names, err = s.WantBaseImageChecks(t.Context(), "base", "index.docker.io/library/alpine", "12")
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestABaseImageThatIsGoneIsForgottenAndComesBackWithWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	based(t, s, debian)
	checked(t, s, "", digestOf("a"))
	require.NoError(t, s.ForgetBaseImages(t.Context(), []string{debian.UID}))
	require.Zero(t, count(t, s, "base_image WHERE deleted_at IS NOT NULL"))
	require.NoError(t, s.ForgetBaseImages(t.Context(), nil))
	require.Equal(t, 1, count(t, s, "base_image WHERE deleted_at IS NOT NULL"))
	_, noted := checked(t, s, digestOf("a"), digestOf("b"))
	require.False(t, noted)
	require.Equal(t, digestOf("a"), based(t, s, debian)[debian.UID].Digest)
	require.Zero(t, count(t, s, "base_image WHERE deleted_at IS NOT NULL"))
}

func TestADatabaseThatKnowsNothingBelievesTheStatus(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	told := debian
	told.Digest, told.PreviousDigest = digestOf("b"), digestOf("a")
	state := based(t, s, told)[debian.UID]
	require.Equal(t, digestOf("b"), state.Digest)
	require.Equal(t, []string{"b a none"}, waveOf(t, s))
	told.Digest = digestOf("c")
	require.Equal(t, digestOf("b"), based(t, s, told)[debian.UID].Digest, "the row counts where there is one")
	checked(t, s, digestOf("b"), digestOf("c"))
	require.Equal(t, []string{"c b 00:00:30"}, waveOf(t, s), "what has changed meanwhile is a change")
}

func TestAnImageThatIsBuiltHereHasTheDigestOfTheNewestBuild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	artifact := func(image, letter string) v1alpha1.Artifact {
		return v1alpha1.Artifact{Image: image, Digest: digestOf(letter)}
	}
	look := func(pipeline string, spellings ...string) string {
		t.Helper()
		digests, err := s.BuiltDigests(t.Context(), []store.BuiltImage{
			{Namespace: given.Namespace, Pipeline: "another", Spellings: spellings},
			{Namespace: given.Namespace, Pipeline: pipeline, Spellings: spellings},
		})
		require.NoError(t, err)
		require.Empty(t, digests[0])
		return digests[1]
	}
	require.Empty(t, look(given.CI, "r.example.org:5000/java"))
	// The newer build is planned first.
	plannedBuild(t, s, builtAt("b2", 2), []v1alpha1.Artifact{artifact("R.example.org:5000/java:18", "b"), artifact("r.example.org:5000/go", "c")}, given.Family{})
	plannedBuild(t, s, builtAt("b1", 1), []v1alpha1.Artifact{artifact("r.example.org:5000/java:17", "a"), artifact("r.example.org:5000/rust:1", "d")}, given.Family{})
	failed := builtAt("b3", 3)
	failed.Phase = v1alpha1.BuildFailed
	plannedBuild(t, s, failed, nil, given.Family{})

	require.Equal(t, digestOf("b"), look(given.CI, "r.example.org:5000/java"))
	require.Equal(t, digestOf("c"), look(given.CI, "go", "r.example.org:5000/go"))
	require.Equal(t, digestOf("d"), look(given.CI, "r.example.org:5000/rust"), "which the newest build did not make")
	require.Empty(t, look(given.CI, "r.example.org:5000/jav"))
	require.Empty(t, look("other", "r.example.org:5000/java"))
}
