package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

const buildEvents = "SELECT build_name || ' ' || state FROM event WHERE kind = 'Build' ORDER BY id"

func TestTheEndOfABuildIsOneEventWhoeverNotesItFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	build := given.Build("b1")
	see := func(phase string) {
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{{UID: build.UID, Namespace: build.Namespace, Name: "b1", CiPipeline: build.CiPipeline, Phase: phase, CreatedAt: time.Now()}}))
	}
	see("Running")
	require.Empty(t, table(t, s, buildEvents))
	plannedBuild(t, s, build, given.Artifacts(1), given.FamilyOf(given.CdPipeline("web")))
	require.Equal(t, []string{"b1 Succeeded"}, table(t, s, buildEvents))
	see("Running") // the mirror had seen that before
	see("Succeeded")
	require.Equal(t, []string{"b1 Succeeded"}, table(t, s, buildEvents))
	require.Equal(t, []string{"Succeeded"}, table(t, s, "SELECT phase FROM ci_build"))
}

func TestABuildThatHadEndedLongBeforeItWasSeenIsNoEvent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "young": time.Hour} {
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{{UID: name, Namespace: given.Namespace, Name: name, CiPipeline: given.CI, Phase: "Failed", CreatedAt: time.Now().Add(-age)}}))
	}
	require.Equal(t, []string{"young Failed"}, table(t, s, buildEvents))
}
