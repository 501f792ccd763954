package wave

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

var cibuilds = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "cibuilds"}

func TestAWaveBuildsEachPipelineOnceAndTellsOfItOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one", "two")
	s.look(3)
	builds := s.builds()
	require.Len(t, builds, 2)
	require.Equal(t, v1alpha1.CauseBaseImage, builds[0].Spec.Cause.Type)
	require.Equal(t, "BaseImage "+s.namespace+"/go", builds[0].Spec.Cause.By)
	require.Equal(t, "wave 1: registry.example.com/base/go:1 is now "+digest("b"), builds[0].Spec.Cause.Message)
	s.mirror("Succeeded")
	s.look(3)
	require.Equal(t, []string{"one Succeeded", "two Succeeded"}, s.items())
	require.Equal(t, v1alpha1.WaveSucceeded, s.status().State)
	require.Equal(t, "2/2", s.status().Progress)
	require.Equal(t, []string{
		"Normal WaveStarted wave 1 rebuilds 2 CiPipelines on " + digest("b"), "Normal WaveFinished wave 1: 2 of 2 built, 0 failed, 0 skipped",
	}, s.told())
	require.EqualValues(t, 2, s.writer.created.Load())
}

func TestABuildThatIsRefusedFailsItsPipelineAndNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one")
	leaving := local.NewNamespace(t)
	s.pipeline(leaving, "leaving")
	require.NoError(t, s.cluster.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: leaving}}))
	s.restart(s.namespace, leaving)
	s.look(2)
	require.Len(t, s.builds(), 1)
	items := s.items()
	require.Contains(t, items[0], "leaving Failed its CiBuild can't be created: ")
	require.Contains(t, items[0], "being terminated")
	require.Equal(t, "one Building", items[1])
	s.mirror("Succeeded")
	s.look(3)
	require.Equal(t, v1alpha1.WaveFailed, s.status().State)
	require.Contains(t, s.told()[1], "1 of 2 built, 1 failed, 0 skipped: "+leaving+"/leaving")
}

func TestABuildThatCanNotBeCreatedNowIsCreatedLater(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one")
	s.writer.create = func() error { return apierrors.NewTooManyRequests("later", 1) }
	require.NoError(t, s.looks(), "the wave begins")
	require.Error(t, s.looks(), "a build is refused")
	require.Error(t, s.looks(), "and again")
	require.Equal(t, []string{"one Building"}, s.items())
	s.writer.create = nil
	s.look(1)
	require.Len(t, s.builds(), 1)
}

func TestAPipelineThatIsGoneOrAnotherOneFails(t *testing.T) {
	t.Parallel()
	s := newScene(t, "anew", "gone", "stays")
	s.writer.create = func() error { return errors.New("the process ends") }
	require.NoError(t, s.looks(), "the wave begins")
	require.Error(t, s.looks(), "builds begin, and nothing is created")
	for _, name := range []string{"anew", "gone"} {
		require.NoError(t, s.cluster.Delete(t.Context(), given.CiPipeline(name, func(p *v1alpha1.CiPipeline) { p.Namespace = s.namespace })))
	}
	s.pipeline(s.namespace, "anew")
	s.writer.create = nil
	s.restart(s.namespace)
	s.look(2)
	require.Equal(t, []string{
		"anew Failed its CiBuild can't be created: CiPipeline anew does not exist any more",
		"gone Failed its CiBuild can't be created: CiPipeline gone does not exist any more", "stays Building",
	}, s.items())
	require.Len(t, s.builds(), 1)
}

func TestACrashBetweenCommitAndCreateMakesOneBuildEach(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one", "two")
	s.writer.create = func() error { return errors.New("the process ends") }
	require.NoError(t, s.looks(), "the wave is committed")
	require.Error(t, s.looks(), "so are its builds")
	require.Empty(t, s.builds())
	s.writer.create = nil
	s.restart(s.namespace)
	s.look(2)
	require.Len(t, s.builds(), 2)
}

func TestACrashBetweenCreateAndMirrorMakesOneBuildEach(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one", "two")
	s.look(2)
	before := s.builds()
	s.restart(s.namespace)
	s.look(2)
	require.Equal(t, before, s.builds())
	require.EqualValues(t, 4, s.writer.created.Load(), "they are tried again, and exist")
	require.Equal(t, []string{"one Building", "two Building"}, s.items())
}

func TestABuildThatAPersonDeletesIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one", "two")
	s.look(2)
	s.mirror("Running")
	deleted := s.builds()[0]
	require.NoError(t, s.cluster.Delete(t.Context(), &deleted))
	_, err := s.store.Pool().Exec(t.Context(), "UPDATE ci_build SET deleted_at = now() WHERE build_uid = $1", string(deleted.UID))
	require.NoError(t, err)
	s.restart(s.namespace)
	s.look(3)
	require.Len(t, s.builds(), 1)
	require.Equal(t, []string{"one Failed build " + deleted.Name + " was deleted", "two Building"}, s.items())
}

func TestABuildThatWasDeletedBeforeTheRowsKnewItIsWaitedForInVainForAMinute(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one")
	s.look(2)
	deleted := s.builds()[0]
	require.NoError(t, s.cluster.Delete(t.Context(), &deleted))
	s.look(2)
	require.Empty(t, s.builds())
	for name := range s.made {
		s.made[name] = time.Now().Add(-unseenFor)
	}
	s.look(2)
	require.Len(t, s.builds(), 1)
	require.Equal(t, deleted.Name, s.builds()[0].Name)
}

func TestAStatusThatIsRefusedByAConflictIsWrittenNextAndItsEventToldOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one")
	s.look(2)
	s.mirror("Succeeded")
	conflict := apierrors.NewConflict(cibuilds, "go", errors.New("it has changed"))
	s.writer.status = func() error { return conflict }
	s.look(2)
	require.Equal(t, v1alpha1.WaveRunning, s.status().State)
	require.Len(t, s.told(), 1, "the end is not told before it is written")
	s.writer.status = nil
	s.look(3)
	require.Equal(t, v1alpha1.WaveSucceeded, s.status().State)
	require.Equal(t, []string{"Normal WaveFinished wave 1: 1 of 1 built, 0 failed, 0 skipped"}, s.told())
	s.restart(s.namespace)
	s.look(2)
	require.Empty(t, s.told(), "a new leader tells it no more")
}

func TestNothingIsWrittenWhileNothingChanges(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one")
	s.look(2)
	s.mirror("Succeeded")
	s.look(3)
	var before, after v1alpha1.BaseImage
	require.NoError(t, s.cluster.Get(t.Context(), client.ObjectKeyFromObject(s.image), &before))
	s.look(2)
	require.NoError(t, s.cluster.Get(t.Context(), client.ObjectKeyFromObject(s.image), &after))
	require.Equal(t, before.ResourceVersion, after.ResourceVersion)
}

func TestASuspendedImageBeginsNoWaveUntilItGoesOn(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one")
	suspend := func(is string) {
		require.NoError(t, s.cluster.Patch(t.Context(), s.image, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":`+is+`}}`))))
	}
	suspend("true")
	s.look(2)
	require.Empty(t, s.items())
	suspend("false")
	s.look(2)
	require.Equal(t, []string{"one Building"}, s.items())
}

// What was built while it had another digest was built on that.
func TestAnImageThatIsBackAtItsDigestBeforeAWaveIsRebuilt(t *testing.T) {
	t.Parallel()
	s := newScene(t, "one")
	s.change("b", "a")
	s.look(2)
	require.Equal(t, []string{"one Building"}, s.items())
	require.Equal(t, "wave 1: registry.example.com/base/go:1 is now "+digest("a"), s.builds()[0].Spec.Cause.Message)
}
