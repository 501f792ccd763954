package build

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// task is that of a build; nil where it has none.
func (s *scene) task(name string) *store.BuildTask {
	s.t.Helper()
	found, err := s.find(s.t.Context(), s.read(name))
	require.NoError(s.t, err)
	return found
}

// change patches the spec of the CiPipeline.
func (s *scene) change(spec string) {
	s.t.Helper()
	pipeline := given.CiPipeline("shop")
	pipeline.Namespace = s.namespace
	require.NoError(s.t, s.cluster.Patch(s.t.Context(), pipeline, client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+spec+`}`))))
}

func TestABuildIsQueuedOnceWhereItsPipelineRunsIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.create(given.CiPipeline("elsewhere"))
	s.queued("b1")
	before := *s.task("b1")
	s.look("b1")
	require.Equal(t, before.ID, s.task("b1").ID)
	require.Equal(t, store.StatusPending, before.Status)
	s.queued("other", given.BuildOf("elsewhere"))
	require.Nil(t, s.task("other"), "it runs elsewhere")
	s.queued("lost", given.BuildOf("nobody"))
	require.Nil(t, s.task("lost"), "its pipeline does not exist")
	require.Zero(t, s.look("b9"), "it does not exist")
}

// The controller was away while they were created, and comes to the last one first.
func TestBuildsThatWereCreatedMeanwhileAreQueuedTogether(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.BuildPolicy(v1alpha1.ConcurrencyQueue))
	names := []string{"b1", "b2", "b3"}
	for _, name := range names {
		s.create(given.CiBuild(name, given.BuildOf("shop"), given.OfRef("main")))
	}
	s.create(given.CiBuild("ended", given.BuildOf("shop"), given.OfRef("main")))
	ended := s.read("ended")
	ended.Status.Phase = v1alpha1.BuildFailed
	require.NoError(t, s.cluster.Status().Update(t.Context(), ended))
	s.create(given.CiBuild("other", given.BuildOf("shop"), given.OfRef("dev")))
	var told []string
	s.controller.OnQueued = func(build types.NamespacedName) { told = append(told, build.Name) }
	s.look("b3")
	require.ElementsMatch(t, append(names, "b3"), told)
	require.Nil(t, s.task("ended"))
	require.Nil(t, s.task("other"))
	for range names {
		s.runs(store.StatusFailed, nil)
		require.NoError(t, s.end())
	}
	for _, name := range names {
		s.is(name, v1alpha1.BuildFailed, v1alpha1.ReasonWorkflowFailed, "")
	}
}

func TestABuildOfASuspendedPipelineWaits(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(p *v1alpha1.CiPipeline) { p.Spec.Suspend = true })
	s.queued("b1")
	require.Nil(t, s.task("b1"))
	s.change(`{"suspend":false}`)
	s.look("b1")
	require.Equal(t, store.StatusPending, s.task("b1").Status)
}

// held has the task of the only build wait for its template, for that long.
func (s *scene) held(since time.Duration) {
	s.t.Helper()
	_, err := s.store.Pool().Exec(s.t.Context(), "UPDATE task SET status = 'Held', reason = 'Template', changed_at = now() - $1::interval", since)
	require.NoError(s.t, err)
}

func TestABuildGoesOnWhenItsTemplateIsThere(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.Builds("later"))
	s.queued("b1")
	s.held(0)
	require.Equal(t, templatePause, s.look("b1"), "it is looked at again")
	require.Equal(t, store.StatusHeld, s.task("b1").Status)
	s.create(given.WorkflowTemplate("later", time.Second))
	require.Zero(t, s.look("b1"))
	require.Equal(t, store.StatusPending, s.task("b1").Status)
}

func TestABuildThatHasWaitedTooLongForItsTemplateEnds(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.Builds("later"))
	s.queued("b1")
	s.held(2 * time.Hour)
	s.look("b1")
	require.NoError(t, s.end())
	s.is("b1", v1alpha1.BuildError, v1alpha1.ReasonTemplateNotFound, "WorkflowTemplate later did not appear within 1h0m0s (TEMPLATE_WAIT): create it, or correct spec.workflow.templateRef of CiPipeline shop, and build again")
}

func TestABuildThatWaitsInAPipelineThatIsGoneEnds(t *testing.T) {
	t.Parallel()
	for sentence, anew := range map[string]bool{"it was deleted": false, "it was made anew under its name": true} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.queued("b1")
			s.queued("b2")
			s.look("b2")
			require.Equal(t, store.StatusHeld, s.task("b2").Status)
			pipeline := given.CiPipeline("shop", given.Builds("build"))
			pipeline.Namespace = s.namespace
			require.NoError(t, s.cluster.Delete(t.Context(), pipeline.DeepCopy()))
			if anew {
				s.create(pipeline)
			}
			s.look("b1")
			s.look("b2")
			require.Equal(t, store.StatusPending, s.task("b1").Status, "it is told when it is claimed")
			require.NoError(t, s.end())
			s.is("b2", v1alpha1.BuildCancelled, v1alpha1.ReasonPipelineDeleted, "CiPipeline shop was deleted before the build's turn came")
		})
	}
}

func TestABuildOfWhichTheCacheDoesNotKnowThePipelineGoesOn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.queued("b1")
	s.held(0)
	known := s.controller.Cache
	s.controller.Cache = withoutPipelines{known}
	s.look("b1")
	require.Equal(t, store.StatusHeld, s.task("b1").Status)
	s.controller.Cache = known
	s.look("b1")
	require.Equal(t, store.StatusPending, s.task("b1").Status)
}

func TestABuildTellsWhereItStands(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	teller := NewTeller(s.Config)
	tell := func(name string) {
		t.Helper()
		_, err := teller.Reconcile(t.Context(), requestOf(s.key(name)))
		require.NoError(t, err)
	}
	s.queued("b1")
	s.queued("b2")
	tell("b1")
	tell("b2")
	s.is("b1", v1alpha1.BuildPending, "", "")
	s.is("b2", v1alpha1.BuildPending, v1alpha1.ReasonTurn, "another build of ref main of CiPipeline shop has its turn")
	s.runs(store.StatusRunning, nil)
	tell("b1")
	version := s.is("b1", v1alpha1.BuildRunning, "", "").ResourceVersion
	tell("b1")
	require.Equal(t, version, s.read("b1").ResourceVersion, "nothing is written while nothing changes")
	teller.Moved([]store.Moved{{Namespace: s.namespace, BuildName: "b1", WorkflowName: "shop-build-abcdefghijklmnop"}}) // it has not started
}

func TestARetriedBuildHasANameOfTheRequest(t *testing.T) {
	t.Parallel()
	asked := store.Request{Name: "again", SpecHash: "x"}
	require.Equal(t, retryName("shop-1", asked), retryName("shop-1", store.Request{Name: "again", SpecHash: "x", Reason: "another"}))
	require.NotEqual(t, retryName("shop-1", asked), retryName("shop-1", store.Request{Name: "again", SpecHash: "y"}))
	long := retryName(strings.Repeat("a", 243)+".-."+strings.Repeat("b", 7), asked)
	require.LessOrEqual(t, len(long), maxName)
	require.Regexp(t, `^a+-[0-9a-f]{8}$`, long)
}
