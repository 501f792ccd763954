package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/wave"
)

// asks is a request of that name about debian's wave.
func asks(name string, action v1alpha1.Action) store.Request {
	return store.Request{Namespace: "base", Name: name, SpecHash: "hash", Action: action, Actor: "ann", Reason: "it is late"}
}

// stopped is a wave that has stopped after two failures.
func stopped(t *testing.T) (*store.Store, store.Wave) {
	t.Helper()
	s, _ := newWavedStore(t)
	one := beginsWave(t, s, itemsOf(wave.Failed, wave.Failed, wave.Building, wave.Pending, wave.Deferred)...)
	done, err := s.MoveWave(t.Context(), one, v1alpha1.WaveStopped, "too many")
	require.NoError(t, err)
	require.True(t, done)
	return s, one
}

func TestAStoppedWaveGoesOnOnceForARequest(t *testing.T) {
	t.Parallel()
	s, one := stopped(t)
	for range 2 {
		answer, err := s.ResumeWave(t.Context(), asks("go-on", v1alpha1.ActionResume), debian.UID, "debian")
		require.NoError(t, err)
		require.Equal(t, v1alpha1.RequestDone, answer.Phase)
		require.Equal(t, "wave 1 of BaseImage debian goes on", answer.Message)
	}
	require.Equal(t, []string{"Running 2 "}, table(t, s, "SELECT state, forgiven, message FROM wave"))
	one.State = v1alpha1.WaveRunning
	_, err := s.MoveWave(t.Context(), one, v1alpha1.WaveStopped, "")
	require.NoError(t, err)
	_, err = s.ResumeWave(t.Context(), asks("go-on", v1alpha1.ActionResume), debian.UID, "debian")
	require.NoError(t, err)
	require.Equal(t, []string{"Stopped"}, table(t, s, "SELECT state FROM wave"), "the same request does nothing again")
}

func TestAWaveIsGivenUpOnceForARequest(t *testing.T) {
	t.Parallel()
	s, _ := stopped(t)
	for range 2 {
		answer, err := s.CancelWave(t.Context(), asks("give-up", v1alpha1.ActionCancel), debian.UID, "debian")
		require.NoError(t, err)
		require.Equal(t, v1alpha1.RequestDone, answer.Phase)
		require.Equal(t, "wave 1 of BaseImage debian is given up; builds that have begun go on", answer.Message)
	}
	require.Equal(t, []string{"Cancelled cancelled by ann: it is late true"}, table(t, s, "SELECT state, message, ended_at IS NOT NULL FROM wave"))
	require.Equal(t, []string{"1 a Failed", "1 b Failed", "1 c Building", "1 d Skipped", "1 e Skipped"}, itemStates(t, s))
}

func TestRequestsAboutWavesAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		state  v1alpha1.WaveState
		resume string
		cancel string
	}{
		"there was none": {"", "BaseImage debian has had no wave", "BaseImage debian has had no wave"},
		"it runs":        {v1alpha1.WaveRunning, "wave 1 of BaseImage debian has not stopped: it is Running", ""},
		"it has ended":   {v1alpha1.WaveSucceeded, "wave 1 of BaseImage debian has not stopped: it is Succeeded", "wave 1 of BaseImage debian has ended: it is Succeeded"},
		"it has failed":  {v1alpha1.WaveFailed, "wave 1 of BaseImage debian has not stopped: it is Failed", "wave 1 of BaseImage debian has ended: it is Failed"},
		"it was given up": {
			v1alpha1.WaveCancelled, "wave 1 of BaseImage debian has not stopped: it is Cancelled", "wave 1 of BaseImage debian has ended: it is Cancelled",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s, _ := newWavedStore(t)
			if c.state != "" {
				one := beginsWave(t, s, itemsOf(wave.Pending)...)
				_, err := s.MoveWave(t.Context(), one, c.state, "")
				require.NoError(t, err)
			}
			for message, ask := range map[string]func() (store.Answer, error){
				c.resume: func() (store.Answer, error) {
					return s.ResumeWave(t.Context(), asks("resume", v1alpha1.ActionResume), debian.UID, "debian")
				},
				c.cancel: func() (store.Answer, error) {
					return s.CancelWave(t.Context(), asks("cancel", v1alpha1.ActionCancel), debian.UID, "debian")
				},
			} {
				if message == "" {
					continue
				}
				answer, err := ask()
				require.NoError(t, err)
				require.Equal(t, v1alpha1.RequestRefused, answer.Phase)
				require.Equal(t, message, answer.Message)
			}
			if c.state != "" {
				require.Equal(t, []string{string(c.state)}, table(t, s, "SELECT state FROM wave"))
			}
		})
	}
}

func TestWhatIsKnownOfOtherBaseImagesAndTheirBuilders(t *testing.T) {
	t.Parallel()
	name, pipelines := types.NamespacedName{Namespace: "base", Name: "debian"}, []string{"uid-a", "uid-b", "uid-c"}
	s, _ := newWavedStore(t)
	images := func() store.NamedBaseImage {
		named, err := s.NamedBaseImages(t.Context(), []types.NamespacedName{name, {Namespace: "base", Name: "gone"}})
		require.NoError(t, err)
		require.Len(t, named, 1)
		return named[name]
	}
	require.True(t, images().WaveIsDue)
	require.Zero(t, images().WaveBegan)
	one := beginsWave(t, s, itemsOf(wave.Building, wave.Pending, wave.Skipped)...)
	require.False(t, images().WaveIsDue)
	require.Equal(t, one.Began, images().WaveBegan)
	states := func(w store.Wave) map[string]wave.State {
		newest, err := s.NewestRebuilds(t.Context(), w, pipelines)
		require.NoError(t, err)
		found := map[string]wave.State{}
		for uid, rebuild := range newest {
			require.Equal(t, name, rebuild.Base)
			found[uid] = rebuild.State
		}
		return found
	}
	require.Equal(t, map[string]wave.State{"uid-a": wave.Building, "uid-b": wave.Pending}, states(one), "what is skipped is no rebuild")
	_, err := s.MoveWave(t.Context(), one, v1alpha1.WaveStopped, "")
	require.NoError(t, err)
	require.Equal(t, map[string]wave.State{"uid-a": wave.Building}, states(one), "in a wave that does not run nothing begins")
	execute(t, s, "UPDATE wave_item SET state = 'Failed', ended_at = now() - interval '1 hour' WHERE state = 'Building'")
	require.Empty(t, states(one), "it had ended long before")
	earlier := one
	earlier.Began = one.Began.Add(-2 * time.Hour)
	require.Equal(t, map[string]wave.State{"uid-a": wave.Failed}, states(earlier))
	newest, err := s.NewestRebuilds(t.Context(), earlier, pipelines)
	require.NoError(t, err)
	require.True(t, newest["uid-a"].IsOld)
	execute(t, s, "UPDATE wave SET state = 'Cancelled'")
	require.Zero(t, images().WaveBegan, "one that was given up builds nothing more")
	execute(t, s, "UPDATE base_image SET deleted_at = now()")
	named, err := s.NamedBaseImages(t.Context(), []types.NamespacedName{name})
	require.NoError(t, err)
	require.Empty(t, named)
}
