package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/wave"
)

// ages makes waves, their items and the end of images older than history is kept.
func ages(t *testing.T, s *store.Store) {
	t.Helper()
	execute(t, s, "UPDATE wave SET started_at = started_at - interval '91 days', ended_at = ended_at - interval '91 days'")
	execute(t, s, "UPDATE wave_item SET ended_at = ended_at - interval '91 days'")
	execute(t, s, "UPDATE base_image SET deleted_at = deleted_at - interval '91 days'")
}

// twoWaves have ended, of two items each.
func twoWaves(t *testing.T) *store.Store {
	t.Helper()
	s, _ := newWavedStore(t)
	first := beginsWave(t, s, itemsOf(wave.Skipped, wave.Skipped)...)
	_, err := s.MoveWave(t.Context(), first, v1alpha1.WaveSucceeded, "")
	require.NoError(t, err)
	changes(t, s, digestOf("b"), digestOf("c"))
	second := beginsWave(t, s, itemsOf(wave.Skipped, wave.Failed)...)
	_, err = s.MoveWave(t.Context(), second, v1alpha1.WaveFailed, "")
	require.NoError(t, err)
	return s
}

func TestWavesThatAreOldArePrunedButForTheNewest(t *testing.T) {
	t.Parallel()
	s := twoWaves(t)
	require.Zero(t, prune(t, s), "all is young")
	ages(t, s)
	require.EqualValues(t, 1, prune(t, s))
	require.Equal(t, []string{"2 Failed"}, table(t, s, "SELECT number, state FROM wave"))
	require.Equal(t, 2, count(t, s, "wave_item"))
	require.Equal(t, 1, count(t, s, "base_image"))
	require.Zero(t, prune(t, s))
}

func TestABaseImageThatIsGoneIsPrunedWithItsWaves(t *testing.T) {
	t.Parallel()
	s := twoWaves(t)
	ages(t, s)
	execute(t, s, "UPDATE base_image SET deleted_at = now()")
	require.EqualValues(t, 1, prune(t, s), "its newest wave is kept for as long as others")
	ages(t, s)
	require.EqualValues(t, 2, prune(t, s))
	for _, table := range []string{"base_image", "wave", "wave_item"} {
		require.Zero(t, count(t, s, table), table)
	}
}

func TestAWaveThatHasNotEndedIsPrunedOnlyWithItsImage(t *testing.T) {
	t.Parallel()
	s, _ := stopped(t)
	ages(t, s)
	require.Zero(t, prune(t, s))
	execute(t, s, "UPDATE base_image SET deleted_at = now()")
	require.Zero(t, prune(t, s))
	ages(t, s)
	require.Positive(t, prune(t, s), "nobody can let it go on any more")
	require.Zero(t, count(t, s, "wave_item"))
}

func TestBaseImagesOfOtherNamespacesAreNotPruned(t *testing.T) {
	t.Parallel()
	s := twoWaves(t)
	execute(t, s, "UPDATE base_image SET deleted_at = now()")
	ages(t, s)
	ages(t, s)
	other := openStore(t, store.Config{URL: s.Pool().Config().ConnString(), Schema: schema, MaxConns: 2, Namespaces: []string{"elsewhere"}})
	require.Zero(t, prune(t, other))
	require.Equal(t, 2, count(t, s, "wave"))
}
