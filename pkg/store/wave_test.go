package store_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/wave"
)

// changes has debian change from one digest to another, and settle.
func changes(t *testing.T, s *store.Store, from, to string) {
	t.Helper()
	_, noted := checked(t, s, from, to)
	require.True(t, noted)
	execute(t, s, "UPDATE base_image SET wave_due_at = now() WHERE wave_due_at IS NOT NULL")
}

// newWavedStore has debian change, which is due.
func newWavedStore(t *testing.T) (*store.Store, store.DueWave) {
	t.Helper()
	s := newStore(t)
	based(t, s, debian)
	changes(t, s, "", digestOf("a"))
	changes(t, s, digestOf("a"), digestOf("b"))
	return s, dueOf(t, s)
}

func dueOf(t *testing.T, s *store.Store) store.DueWave {
	t.Helper()
	due, err := s.DueWaves(t.Context())
	require.NoError(t, err)
	require.Len(t, due, 1)
	return due[0]
}

// itemsOf are items named by letters, each in a state.
func itemsOf(states ...wave.State) []wave.Item {
	var items []wave.Item
	for i, state := range states {
		name := string(rune('a' + i))
		items = append(items, wave.Item{
			Pipeline: types.NamespacedName{Namespace: "shop", Name: name}, PipelineUID: "uid-" + name, BuildName: "build-" + name, State: state,
		})
	}
	return items
}

// beginsWave begins the wave that is due.
func beginsWave(t *testing.T, s *store.Store, items ...wave.Item) store.Wave {
	t.Helper()
	done, err := s.BeginWave(t.Context(), dueOf(t, s), items)
	require.NoError(t, err)
	require.True(t, done)
	open := openWaves(t, s)
	return open[len(open)-1]
}

func openWaves(t *testing.T, s *store.Store) []store.Wave {
	t.Helper()
	open, err := s.OpenWaves(t.Context())
	require.NoError(t, err)
	return open
}

// itemStates are those of all waves, with whether they have ended.
func itemStates(t *testing.T, s *store.Store) []string {
	t.Helper()
	return table(t, s, `SELECT number, pipeline, state FROM wave_item ORDER BY number, pipeline`)
}

func TestAChangeThatHasSettledIsDue(t *testing.T) {
	t.Parallel()
	s, due := newWavedStore(t)
	require.Equal(t, store.DueWave{
		ImageUID: debian.UID, Namespace: "base", Name: "debian", Image: "debian:12", Digest: digestOf("b"),
	}, due)
	execute(t, s, "UPDATE base_image SET wave_due_at = now() + interval '1 s'")
	early, err := s.DueWaves(t.Context())
	require.NoError(t, err)
	require.Empty(t, early, "it has not settled")
	execute(t, s, "UPDATE base_image SET wave_due_at = now(), deleted_at = now()")
	gone, err := s.DueWaves(t.Context())
	require.NoError(t, err)
	require.Empty(t, gone)
}

func TestAWaveBeginsOnceHoweverManyBeginIt(t *testing.T) {
	t.Parallel()
	s, due := newWavedStore(t)
	var workers sync.WaitGroup
	results := make([]bool, 8)
	for i := range results {
		workers.Go(func() {
			done, err := s.BeginWave(t.Context(), due, itemsOf(wave.Pending, wave.Deferred, wave.Skipped))
			require.NoError(t, err)
			results[i] = done
		})
	}
	workers.Wait()
	require.Len(t, slices.DeleteFunc(results, func(done bool) bool { return !done }), 1)
	require.Equal(t, []string{"1 a Pending", "1 b Deferred", "1 c Skipped"}, itemStates(t, s))
	require.Equal(t, 1, count(t, s, "wave_item WHERE ended_at IS NOT NULL"), "what is skipped has ended")
	require.Equal(t, []string{"1"}, table(t, s, "SELECT wave FROM base_image WHERE wave_due_at IS NULL"))
}

func TestAWaveDoesNotBeginForADigestThatIsOld(t *testing.T) {
	t.Parallel()
	s, due := newWavedStore(t)
	changes(t, s, digestOf("b"), digestOf("c"))
	done, err := s.BeginWave(t.Context(), due, itemsOf(wave.Pending))
	require.NoError(t, err)
	require.False(t, done)
	require.Zero(t, count(t, s, "wave"))
	require.Equal(t, digestOf("c"), dueOf(t, s).Digest, "it is still due")
}

// Builds that began meanwhile were built on what was there for that while.
func TestAChangeThereAndBackIsAWaveToo(t *testing.T) {
	t.Parallel()
	s, _ := newWavedStore(t)
	changes(t, s, digestOf("b"), digestOf("a"))
	done, err := s.BeginWave(t.Context(), dueOf(t, s), itemsOf(wave.Pending))
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, []string{digestOf("a")}, table(t, s, "SELECT digest FROM wave"))
}

func TestAChangeBackAfterAWaveIsANewWave(t *testing.T) {
	t.Parallel()
	s, _ := newWavedStore(t)
	beginsWave(t, s, itemsOf(wave.Pending)...)
	changes(t, s, digestOf("b"), digestOf("a"))
	beginsWave(t, s, itemsOf(wave.Pending)...)
	require.Equal(t, []string{"1 " + digestOf("b"), "2 " + digestOf("a")}, table(t, s, "SELECT number, digest FROM wave ORDER BY number"))
}

func TestANewerWaveEndsAnOlderOneAndLeavesBuildsThatHaveBegun(t *testing.T) {
	t.Parallel()
	s, _ := newWavedStore(t)
	beginsWave(t, s, itemsOf(wave.Building, wave.Pending, wave.Deferred)...)
	changes(t, s, digestOf("b"), digestOf("c"))
	beginsWave(t, s, itemsOf(wave.Pending)...)
	require.Equal(t, []string{"1 a Building", "1 b Skipped", "1 c Skipped", "2 a Pending"}, itemStates(t, s))
	require.Equal(t, []string{"1 Cancelled wave 2 builds on a newer digest", "2 Running "}, table(t, s, "SELECT number, state, message FROM wave ORDER BY number"))
	require.Len(t, openWaves(t, s), 2, "the build of the older one is followed")
	builds(t, s, "build-a", "Succeeded")
	require.Len(t, openWaves(t, s), 2)
	require.Len(t, openWaves(t, s), 1)
	require.Equal(t, "1 a Succeeded", itemStates(t, s)[0])
	require.Equal(t, 1, count(t, s, "wave WHERE state = 'Cancelled'"), "its end is told once")
}

// builds has a CiBuild of that name stand so.
func builds(t *testing.T, s *store.Store, name, phase string) {
	t.Helper()
	execute(t, s, `INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase) VALUES ('uid-' || $1, 'shop', $1, 'a', '', 'BaseImage', $2)
		ON CONFLICT (build_uid) DO UPDATE SET phase = excluded.phase`, name, phase)
}

func TestAnItemFollowsItsBuild(t *testing.T) {
	t.Parallel()
	const (
		deleted    = "UPDATE ci_build SET deleted_at = now()"
		superseded = `INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, priority, fair_at, finished_at)
			VALUES ('ci', 'shop', 'CiPipeline', 'a', 'uid-a', 'identity', 'w', '{"build_uid": "uid-build-a"}', 'Superseded', 1, now(), now())`
	)
	for sentence, c := range map[string]struct {
		phase string
		also  string
		want  string
	}{
		"one that waits goes on":                              {"Pending", "", "Building uid-build-a  false"},
		"one that runs goes on":                               {"Running", "", "Building uid-build-a  false"},
		"one that has no phase yet goes on":                   {"", "", "Building uid-build-a  false"},
		"one that succeeded has":                              {"Succeeded", "", "Succeeded uid-build-a  true"},
		"one that failed has":                                 {"Failed", "", "Failed uid-build-a build build-a ended as Failed true"},
		"one that could not be has failed":                    {"Error", "", "Failed uid-build-a build build-a ended as Error true"},
		"one that was cancelled has failed":                   {"Cancelled", "", "Failed uid-build-a build build-a ended as Cancelled true"},
		"one that was deleted has failed":                     {"Running", deleted, "Failed uid-build-a build build-a was deleted true"},
		"one that succeeded and was deleted has succeeded":    {"Succeeded", deleted, "Succeeded uid-build-a  true"},
		"one that a newer one has overtaken is skipped":       {"Cancelled", superseded, "Skipped uid-build-a a newer build of the same ref went first true"},
		"so is one of which that is not told yet":             {"Pending", superseded, "Skipped uid-build-a a newer build of the same ref went first true"},
		"one that was overtaken and succeeded, has succeeded": {"Succeeded", superseded, "Succeeded uid-build-a  true"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s, _ := newWavedStore(t)
			beginsWave(t, s, itemsOf(wave.Building)...)
			builds(t, s, "build-a", c.phase)
			if c.also != "" {
				execute(t, s, c.also)
			}
			for range 2 {
				openWaves(t, s)
				require.Equal(t, []string{c.want}, table(t, s, "SELECT state, build_uid, message, ended_at IS NOT NULL FROM wave_item"))
			}
		})
	}
}

func TestAnItemThatHasNotBegunFollowsNoBuild(t *testing.T) {
	t.Parallel()
	s, _ := newWavedStore(t)
	beginsWave(t, s, itemsOf(wave.Pending)...)
	builds(t, s, "build-a", "Succeeded")
	openWaves(t, s)
	require.Equal(t, []string{"1 a Pending"}, itemStates(t, s))
}

func TestAnItemMovesOnlyFromTheStatesThatItCanLeave(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{
		"Deferred Pending": true, "Deferred Skipped": true, "Pending Building": true, "Building Failed": true, "Building Skipped": true,
		"Building Building": true, // to say why it has no build yet
	}
	states := []wave.State{wave.Deferred, wave.Pending, wave.Building, wave.Succeeded, wave.Failed, wave.Skipped}
	s, _ := newWavedStore(t)
	one := beginsWave(t, s, itemsOf(states...)...)
	for place, from := range states {
		for _, to := range states {
			execute(t, s, "UPDATE wave_item SET state = $1, ended_at = NULL WHERE pipeline_uid = $2", string(from), one.Items[place].PipelineUID)
			item := one.Items[place]
			item.State, item.Message = to, "because"
			moved, err := s.MoveWaveItems(t.Context(), one, []wave.Item{item})
			require.NoError(t, err)
			require.Equal(t, allowed[string(from)+" "+string(to)], len(moved) == 1, "%s to %s", from, to)
			has := table(t, s, "SELECT state, ended_at IS NOT NULL FROM wave_item WHERE pipeline_uid = $1", item.PipelineUID)[0]
			if len(moved) == 1 {
				require.Equal(t, []string{item.PipelineUID}, moved)
				require.Equal(t, string(to)+" "+map[bool]string{true: "true", false: "false"}[to.HasEnded()], has)
			}
		}
	}
	execute(t, s, "UPDATE wave_item SET state = 'Building', message = 'because', ended_at = NULL")
	item := one.Items[0]
	item.State, item.Message = wave.Building, "because"
	again, err := s.MoveWaveItems(t.Context(), one, []wave.Item{item})
	require.NoError(t, err)
	require.Empty(t, again, "nothing is written where it says that already")
	execute(t, s, "UPDATE wave_item SET state = 'Building', build_uid = 'known'")
	item.State = wave.Failed
	moved, err := s.MoveWaveItems(t.Context(), one, []wave.Item{item})
	require.NoError(t, err)
	require.Empty(t, moved, "a build that exists says itself how it ends")
}

func TestNothingMovesInAWaveThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for _, state := range []v1alpha1.WaveState{v1alpha1.WaveStopped, v1alpha1.WaveCancelled, v1alpha1.WaveFailed, v1alpha1.WaveSucceeded} {
		s, _ := newWavedStore(t)
		one := beginsWave(t, s, itemsOf(wave.Pending)...)
		done, err := s.MoveWave(t.Context(), one, state, "")
		require.NoError(t, err)
		require.True(t, done)
		item := one.Items[0]
		item.State = wave.Building
		moved, err := s.MoveWaveItems(t.Context(), one, []wave.Item{item})
		require.NoError(t, err)
		require.Empty(t, moved, state)
		again, err := s.MoveWave(t.Context(), one, v1alpha1.WaveSucceeded, "")
		require.NoError(t, err)
		require.False(t, again, "it is not in the state that was read")
	}
}

func TestTheNewestWaveIsSummarised(t *testing.T) {
	t.Parallel()
	s, _ := newWavedStore(t)
	beginsWave(t, s, itemsOf(wave.Pending, wave.Deferred, wave.Building, wave.Succeeded, wave.Failed, wave.Failed, wave.Skipped)...)
	newest, err := s.NewestWaves(t.Context(), []string{debian.UID, "another"})
	require.NoError(t, err)
	require.Equal(t, map[string]store.WaveSummary{debian.UID: {
		Failures: []string{"shop/e", "shop/f"},
		BaseImageWave: v1alpha1.BaseImageWave{
			Number: 1, Digest: digestOf("b"), Total: 7, Pending: 2, Running: 1, Succeeded: 1, Failed: 2, Skipped: 1, State: v1alpha1.WaveRunning, Progress: "4/7",
		},
	}}, newest)
}

func TestLongMessagesAndOddBytesAreKept(t *testing.T) {
	t.Parallel()
	s, _ := newWavedStore(t)
	one := beginsWave(t, s, itemsOf(wave.Building)...)
	item := one.Items[0]
	item.State, item.Message = wave.Failed, "refused\x00 by \xff"+strings.Repeat("x", 1000)
	moved, err := s.MoveWaveItems(t.Context(), one, []wave.Item{item})
	require.NoError(t, err)
	require.Len(t, moved, 1)
}
