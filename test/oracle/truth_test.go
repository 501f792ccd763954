package oracle_test

import (
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
)

// ran is the pipeline of the scene's run that has succeeded, as its status must be but for
// the phase.
func (s *scene) ran(phase string) *v1alpha1.CdPipeline {
	s.Helper()
	pipeline := given.CdPipeline("web-001")
	s.told(pipeline)
	pipeline.Status.LastRun.Phase = phase
	return pipeline
}

// tellsOf has the API server hold the pipeline that has succeeded, with a status that was
// changed.
func (s *scene) tellsOf(change func(*v1alpha1.CdPipelineStatus)) {
	s.Helper()
	pipeline := s.ran("Succeeded")
	change(&pipeline.Status)
	s.more = []client.Object{pipeline}
}

// forget has a pipeline that has not deployed tell what is deployed.
func (s *scene) forget() {
	s.Helper()
	pipeline := given.CdPipeline("web-002")
	s.told(pipeline)
	pipeline.Status.Deployed = []v1alpha1.Deployed{{Image: "registry.example.com/app-000:0.9", Digest: given.Artifact(0).Digest, BuildName: "b0"}}
	s.more = []client.Object{pipeline}
}

// heldFor has the API server hold a pipeline whose run waits for a person, and its build.
func (s *scene) heldFor(change func(*v1alpha1.CdPipeline, *v1alpha1.CiBuild)) {
	s.Helper()
	pipeline := given.CdPipeline("manual", given.ManualStage(trigger.StageDeploy))
	s.planBuild("b2", given.FamilyOf(pipeline), given.Artifact(0))
	s.told(pipeline)
	build := s.planned("b2")
	change(pipeline, build)
	s.more = []client.Object{pipeline, build}
}

// told is an event of Penstock's on an object.
func told(kind string, object client.Object, reason, note string) client.Object {
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: given.Namespace, Name: "told"},
		Regarding:           corev1.ObjectReference{Kind: kind, Name: object.GetName(), UID: object.GetUID()},
		ReportingController: v1alpha1.ManagedBy, Reason: reason, Note: note,
	}
}

func TestWhatStatusesAndEventsTellMustBeInTheRows(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		tell func(s *scene)
		want string // empty: it is true
	}{
		"a build counts its runs": {func(s *scene) {}, ""},
		"a build counts one run too many": {
			func(s *scene) { s.build.Status.Triggers.Succeeded++ }, "I7: CiBuild b1 tells {Total:3 Pending:1 Held:0 Submitted:1 Running:0 Succeeded:2",
		},
		"a build counts nothing": {
			func(s *scene) { s.build.Status.Triggers = nil }, "I7: CiBuild b1 tells nothing of its runs",
		},
		"a build says that all are triggered while one waits": {
			func(s *scene) {
				meta.SetStatusCondition(&s.build.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionTriggered, Status: metav1.ConditionTrue})
			},
			"I7: the condition Triggered of CiBuild b1 is true, with 2 of 3 runs that have a Workflow",
		},
		"a build does not say that it is planned": {
			func(s *scene) { meta.RemoveStatusCondition(&s.build.Status.Conditions, v1alpha1.ConditionPlanned) },
			"I7: CiBuild b1 is planned, but its condition Planned is not True",
		},
		"a pipeline tells of its last run": {func(s *scene) { s.more = []client.Object{s.ran("Succeeded")} }, ""},
		"a pipeline tells of another end": {
			func(s *scene) { s.more = []client.Object{s.ran("Failed")} }, "I7: CdPipeline web-001 tells of run 2 of build b1",
		},
		"a pipeline tells of no run": {
			func(s *scene) { s.tellsOf(func(status *v1alpha1.CdPipelineStatus) { status.LastRun = nil }) }, "I7: CdPipeline web-001 tells of no run",
		},
		"a pipeline tells of a run that no row has": {
			func(s *scene) {
				other := s.ran("Succeeded")
				other.UID, other.Status.Conditions, other.Status.Deployed = "other", nil, nil
				s.more = []client.Object{other}
			},
			"the rows have no run",
		},
		"a pipeline tells of another run": {
			func(s *scene) { s.tellsOf(func(status *v1alpha1.CdPipelineStatus) { status.LastRun.Run++ }) }, "I7: CdPipeline web-001 tells of run 3",
		},
		"a pipeline says that it was not triggered": {
			func(s *scene) {
				s.tellsOf(func(status *v1alpha1.CdPipelineStatus) { status.Conditions[0].Status = metav1.ConditionFalse })
			},
			"I7: the condition Triggered of CdPipeline web-001 is False/Triggered",
		},
		"a pipeline says of another build that it was triggered": {
			func(s *scene) {
				s.tellsOf(func(status *v1alpha1.CdPipelineStatus) { status.Conditions[0].Message = "triggered by build b0" })
			},
			"I7: the condition Triggered of CdPipeline web-001 is True/Triggered: triggered by build b0",
		},
		"a pipeline says nothing of what was decided": {
			func(s *scene) { s.tellsOf(func(status *v1alpha1.CdPipelineStatus) { status.Conditions = nil }) },
			"I7: the condition Triggered of CdPipeline web-001 is nothing, the rows say True/Triggered: triggered by build b1",
		},
		"a pipeline does not say what is deployed": {
			func(s *scene) { s.tellsOf(func(status *v1alpha1.CdPipelineStatus) { status.Deployed = nil }) },
			"I7: CdPipeline web-001 tells that [] is deployed",
		},
		"a pipeline tells what was deployed, and the rows of a restored database know nothing of it": {
			func(s *scene) { s.forget(); s.restored = true }, "",
		},
		"a pipeline tells what was deployed, and the rows know nothing of it": {
			func(s *scene) { s.forget() }, "is deployed, the rows have []",
		},
		"a pipeline of a restored database does not say what is deployed": {
			func(s *scene) {
				s.tellsOf(func(status *v1alpha1.CdPipelineStatus) { status.Deployed = nil })
				s.restored = true
			},
			"I7: CdPipeline web-001 tells that [] is deployed",
		},
		"a run that is held": {func(s *scene) { s.heldFor(func(*v1alpha1.CdPipeline, *v1alpha1.CiBuild) {}) }, ""},
		"a pipeline does not say what holds its run": {
			func(s *scene) {
				s.heldFor(func(pipeline *v1alpha1.CdPipeline, _ *v1alpha1.CiBuild) {
					pipeline.Status.Conditions[0].Reason = "Triggered"
				})
			},
			"the rows say False/Person: build b2: stage DEPLOY of run 4 waits: ",
		},
		"a build counts a run that is held among those that wait for a slot": {
			func(s *scene) {
				s.heldFor(func(_ *v1alpha1.CdPipeline, build *v1alpha1.CiBuild) {
					build.Status.Triggers.Pending, build.Status.Triggers.Held = 1, 0
				})
			},
			"I7: CiBuild b2 tells {Total:1 Pending:1 Held:0",
		},
		"an event tells of a plan":             {func(s *scene) { s.more = []client.Object{told("CiBuild", s.build, "Planned", "3 triggered")} }, ""},
		"an event tells of two Workflows":      {func(s *scene) { s.tells("CiBuild", "AllTriggered", "2 of 3 runs have a Workflow") }, ""},
		"an event tells of a third Workflow":   {func(s *scene) { s.tells("CiBuild", "AllTriggered", "3 of 3 runs have a Workflow") }, "I7: an event on CiBuild b1 tells what no row says"},
		"an event tells of a fourth run":       {func(s *scene) { s.tells("CiBuild", "AllTriggered", "2 of 4 runs have a Workflow") }, "I7: an event on CiBuild b1"},
		"an event tells of a plan that is not": {func(s *scene) { s.more = []client.Object{told("CiBuild", given.CiBuild("b9"), "Planned", "")} }, "I7: an event on CiBuild b9"},
		"an event tells of an end":             {func(s *scene) { s.tells("CdPipeline", "Succeeded", "stage DEPLOY for build b1 ended as Succeeded") }, ""},
		"an event tells of an end that is not": {func(s *scene) { s.tells("CdPipeline", "Failed", "stage DEPLOY for build b1 ended as Failed: x") }, "I7: an event on CdPipeline web-001"},
		"an event tells of a decision":         {func(s *scene) { s.tells("CdPipeline", "Suspended", "build b1: spec.suspend is true") }, ""},
		"an event tells of another decision":   {func(s *scene) { s.tells("CdPipeline", "Suspended", "build b2: spec.suspend is true") }, "I7: an event on CdPipeline web-001"},
		"an event of somebody else tells anything": {
			func(s *scene) {
				event := told("CdPipeline", s.ran("Failed"), "Failed", "stage DEPLOY for build b1 ended as Failed")
				event.(*eventsv1.Event).ReportingController = "somebody"
				s.more = []client.Object{event}
			}, "",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			test.tell(s)
			violations, err := oracle.Violations(t.Context(), s.world())
			require.NoError(t, err)
			if test.want == "" {
				require.Empty(t, violations)
				return
			}
			require.Len(t, violations, 1)
			require.Contains(t, violations[0], test.want)
		})
	}
}

// tells has an event on the scene's build, or on the pipeline that has succeeded.
func (s *scene) tells(kind, reason, note string) {
	object := client.Object(s.build)
	if kind == "CdPipeline" {
		object = s.ran("Succeeded")
	}
	s.more = []client.Object{told(kind, object, reason, note)}
}

func TestTheWitnessFindsWhatIsToldBeforeItIsCommitted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	pipeline := s.ran("Succeeded")
	objects := s.cluster(s.build, pipeline)
	cluster, ok := objects.(client.WithWatch)
	require.True(t, ok)
	witness, err := oracle.StartWitness(t.Context(), cluster, given.Namespace, s.store.Pool())
	require.NoError(t, err)
	defer witness.Stop()
	tell := func(object client.Object, want ...string) {
		t.Helper()
		_, before := witness.Found()
		require.NoError(t, cluster.Update(t.Context(), object))
		require.Eventually(t, func() bool { _, judged := witness.Found(); return judged > before }, time.Minute, time.Millisecond)
		found, _ := witness.Found()
		require.Len(t, found, len(want))
		for i := range want {
			require.Contains(t, found[i], want[i])
		}
	}
	tell(pipeline)
	early := "I7: CiBuild b1 told {Total:3 Pending:0 Held:0 Submitted:2"
	s.build.Status.Triggers.Pending, s.build.Status.Triggers.Submitted, s.build.Status.Triggers.Progress = 0, 2, "3/3"
	tell(s.build, early)
	s.execute("UPDATE task SET status = 'Submitted', submitted_at = now() WHERE id = $1", s.pending)
	tell(s.build, early)
	pipeline.Status.LastRun.Phase = "Failed"
	tell(pipeline, early, "I7: CdPipeline web-001 told of run 2")
}

func TestTheWitnessCountsWorkflowsThatNoLogTellsOf(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	cluster, ok := s.cluster().(client.WithWatch)
	require.True(t, ok)
	witness, err := oracle.StartWitness(t.Context(), cluster, given.Namespace, s.store.Pool())
	require.NoError(t, err)
	defer witness.Stop()
	made := func(want int, name, uid, managedBy string) []string {
		t.Helper()
		workflow := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
			Namespace: given.Namespace, Name: name, UID: types.UID(uid), Labels: map[string]string{v1alpha1.LabelManagedBy: managedBy},
		}}
		require.NoError(t, cluster.Create(t.Context(), workflow))
		require.Eventually(t, func() bool { count, _ := witness.Made(); return count >= want }, time.Minute, time.Millisecond)
		require.NoError(t, cluster.Delete(t.Context(), workflow))
		count, twice := witness.Made()
		require.Equal(t, want, count)
		return twice
	}
	require.Empty(t, made(0, "somebodys", "1", "somebody"))
	require.Empty(t, made(1, "web", "2", v1alpha1.ManagedBy))
	require.Empty(t, made(2, "shop", "3", v1alpha1.ManagedBy))
	require.Equal(t, []string{"web"}, made(3, "web", "4", v1alpha1.ManagedBy))
}
