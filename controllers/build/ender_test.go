package build

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func requestOf(key client.ObjectKey) reconcile.Request { return reconcile.Request{NamespacedName: key} }

func notFound(key client.ObjectKey) error {
	return apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "cibuilds"}, key.Name)
}

var image = outputs("image", given.Artifact(1).Image, "digest", given.Artifact(1).Digest)

func TestABuildEndsWithWhatItsWorkflowMadeAndTheNextOneStarts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.queued("b1")
	s.queued("b2")
	workflow := s.runs(store.StatusSucceeded, image)
	require.NoError(t, s.end())
	build := s.is("b1", v1alpha1.BuildSucceeded, "", "")
	require.Equal(t, []v1alpha1.Artifact{given.Artifact(1)}, build.Status.Artifacts)
	require.Equal(t, &v1alpha1.WorkflowReference{Name: workflow.Name, UID: string(workflow.UID)}, build.Status.WorkflowRef)
	require.NotNil(t, build.Status.FinishedAt)
	require.Equal(t, []types.NamespacedName{s.key(workflow.Name)}, s.recorded, "its Workflow is let go")
	require.Equal(t, "Normal BuildSucceeded built "+given.Artifact(1).Image, s.event())

	s.runs(store.StatusFailed, nil)
	require.NoError(t, s.end())
	s.is("b2", v1alpha1.BuildFailed, v1alpha1.ReasonWorkflowFailed, "as Argo tells")
	require.Equal(t, "Warning BuildFailed WorkflowFailed: as Argo tells", s.event())
	require.NoError(t, s.end())
	require.Equal(t, int64(2), s.rows.settles.Load(), "once each")
	require.Len(t, s.recorded, 2)
}

func TestABuildWithoutArtifactsSaysWhatWasFound(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		names   v1alpha1.BuildOutputs
		outputs []string
		deleted bool
		reason  v1alpha1.Reason
		message string
	}{
		"its template has no outputs": {v1alpha1.BuildOutputs{}, nil, false, v1alpha1.ReasonNoArtifacts, "it has none"},
		"they have other names":       {v1alpha1.BuildOutputs{Image: "img"}, []string{"image", "a", "digest", "b"}, false, v1alpha1.ReasonNoArtifacts, "no global output parameters img and digest, nor artifacts; it has digest, image"},
		"the digest is in capitals":   {v1alpha1.BuildOutputs{}, []string{"image", "shop", "digest", "SHA256:AB"}, false, v1alpha1.ReasonNoArtifacts, `"SHA256:AB" of image shop is no digest`},
		"its Workflow was deleted":    {v1alpha1.BuildOutputs{}, []string{"image", "a"}, true, v1alpha1.ReasonWorkflowDeleted, "was deleted before its outputs were read: build again"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, func(p *v1alpha1.CiPipeline) { p.Spec.Outputs = test.names })
			s.queued("b1")
			workflow := s.runs(store.StatusSucceeded, outputs(test.outputs...))
			if test.deleted {
				require.NoError(t, s.cluster.Delete(t.Context(), workflow))
			}
			require.NoError(t, s.end())
			build := s.is("b1", v1alpha1.BuildError, test.reason, test.message)
			require.Empty(t, build.Status.Artifacts)
			require.Contains(t, s.event(), "Warning BuildError "+string(test.reason))
			require.Zero(t, s.unsettled())
		})
	}
}

// Somebody made a Workflow of the same name in its place.
func TestTheOutputsOfAnotherWorkflowAreNotTaken(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.queued("b1")
	workflow := s.runs(store.StatusSucceeded, image)
	require.NoError(t, s.cluster.Delete(t.Context(), workflow.DeepCopy()))
	workflow.UID, workflow.ResourceVersion = "", ""
	s.create(workflow)
	require.NoError(t, s.end())
	s.is("b1", v1alpha1.BuildError, v1alpha1.ReasonWorkflowDeleted, "build again")
}

func TestACrashBetweenTheStatusAndTheRowTellsItOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.queued("b1")
	s.queued("b2")
	s.runs(store.StatusSucceeded, image)
	s.rows.fails.Store(true)
	require.ErrorIs(t, s.end(), errDown)
	require.Equal(t, int64(1), s.rows.settles.Load(), "it does not try again at once")
	require.Empty(t, s.recorded, "its Workflow is not let go")
	told := s.is("b1", v1alpha1.BuildSucceeded, "", "")
	require.NotEmpty(t, s.event())

	s.rows.fails.Store(false)
	require.NoError(t, s.end())
	require.Equal(t, told.ResourceVersion, s.read("b1").ResourceVersion)
	require.Empty(t, s.event())
	require.Len(t, s.recorded, 1)
	require.Zero(t, s.unsettled())
	s.runs(store.StatusSucceeded, image) // the turn of b2
}

func TestABuildThatCannotBeToldKeepsNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.queued("b1")
	s.runs(store.StatusSucceeded, image)
	down := errors.New("etcdserver: request timed out")
	s.failing(down)
	require.ErrorIs(t, s.end(), down)
	require.Equal(t, 1, s.unsettled())
	s.Writer = s.cluster
	s.queued("b2", given.OfRef("dev"))
	s.runs(store.StatusFailed, nil)
	require.NoError(t, s.end())
	s.is("b1", v1alpha1.BuildSucceeded, "", "")
	s.is("b2", v1alpha1.BuildFailed, v1alpha1.ReasonWorkflowFailed, "")
}

func TestWhatTheAPIServerRefusesIsToldAsNoArtifacts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.queued("b1")
	s.runs(store.StatusSucceeded, image)
	refusing := refusingOnce(s)
	require.NoError(t, s.end())
	require.Equal(t, 2, *refusing)
	s.is("b1", v1alpha1.BuildError, v1alpha1.ReasonNoArtifacts, "the API server refuses what the Workflow produced: ")
	require.Zero(t, s.unsettled())
}

func TestABuildThatIsGoneOrWasMadeAnewIsSettledInSilence(t *testing.T) {
	t.Parallel()
	for sentence, anew := range map[string]bool{"it was deleted": false, "it was made anew under its name": true} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.queued("b1")
			s.runs(store.StatusSucceeded, image)
			require.NoError(t, s.cluster.Delete(t.Context(), s.read("b1")))
			if anew {
				s.create(given.CiBuild("b1", given.BuildOf("shop")))
			}
			require.NoError(t, s.end())
			require.Zero(t, s.unsettled())
			require.Empty(t, s.event())
			require.Len(t, s.recorded, 1)
			if anew {
				require.Equal(t, v1alpha1.BuildPending, s.read("b1").Status.Phase)
			}
		})
	}
}

func TestABuildThatSaysHowItEndedIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.queued("b1")
	build := s.read("b1")
	build.Status.Phase = v1alpha1.BuildFailed
	require.NoError(t, s.cluster.Status().Update(t.Context(), build))
	s.runs(store.StatusSucceeded, image)
	require.NoError(t, s.end())
	s.is("b1", v1alpha1.BuildFailed, "", "")
	require.Zero(t, s.unsettled())
}

func TestACacheThatIsBehindHidesNoEnd(t *testing.T) {
	t.Parallel()
	for sentence, known := range map[string]bool{"it has the build as it was": true, "it does not know the build yet": false} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.queued("b1")
			cache := stale{Reader: s.cluster}
			if known {
				cache.of = s.read("b1")
			}
			running := s.read("b1")
			running.Status.Phase = v1alpha1.BuildRunning
			require.NoError(t, s.cluster.Status().Update(t.Context(), running))
			s.runs(store.StatusSucceeded, image)
			s.Cache = cache
			require.NoError(t, s.end())
			s.is("b1", v1alpha1.BuildSucceeded, "", "")
			require.Zero(t, s.unsettled())
		})
	}
}

func TestADeletedBuildIsStoppedAndTheNextOneStarts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, name := range []string{"b1", "b2"} {
		s.queued(name)
	}
	uid := string(s.read("b1").UID)
	require.NoError(t, s.cluster.Delete(t.Context(), s.read("b1")))
	require.NoError(t, s.store.ForgetMirrored(t.Context(), []string{uid}))
	require.NoError(t, s.end())
	tasks, err := s.store.BuildTasks(t.Context(), uid, string(s.read("b2").UID))
	require.NoError(t, err)
	require.Equal(t, store.StatusCancelled, tasks[uid].Status)
	require.Equal(t, v1alpha1.ReasonBuildDeleted, tasks[uid].Reason)
	require.Equal(t, store.StatusPending, tasks[string(s.read("b2").UID)].Status)
	require.Positive(t, s.commits)
}

// An external CI system reports into a CiBuild whose pipeline has a workflow.
func TestABuildThatSomebodyElseEndedIsStoppedAndSaysWhatTheyWrote(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, name := range []string{"b1", "b2"} {
		s.queued(name)
	}
	build := s.read("b1")
	build.Status.Phase = v1alpha1.BuildFailed
	require.NoError(t, s.cluster.Status().Update(t.Context(), build))
	_, err := s.store.Pool().Exec(t.Context(), "UPDATE ci_build SET phase = 'Failed' WHERE build_uid = $1", string(build.UID)) // as the mirror does
	require.NoError(t, err)
	require.NoError(t, s.end())
	tasks, err := s.store.BuildTasks(t.Context(), string(build.UID), string(s.read("b2").UID))
	require.NoError(t, err)
	require.Equal(t, store.StatusCancelled, tasks[string(build.UID)].Status)
	require.Equal(t, v1alpha1.ReasonBuildEnded, tasks[string(build.UID)].Reason)
	require.Equal(t, store.StatusPending, tasks[string(s.read("b2").UID)].Status)
	s.is("b1", v1alpha1.BuildFailed, "", "")
}
