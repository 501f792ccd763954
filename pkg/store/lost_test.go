package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// toldOf is what the status of a pipeline tells of a run of a build that was created in this minute.
func toldOf(run int64, build trigger.Build, pipeline *v1alpha1.CdPipeline) store.LostRun {
	return store.LostRun{Run: run, Build: build, Pipeline: pipeline, Artifacts: given.Artifacts(2)}
}

func TestALostRunIsNotedOnceAndNothingIsTriggeredForIt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf()
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	rebuilt := builtAt("b1", 2)
	rebuilt.UID = "another"
	for sentence, told := range map[string]store.LostRun{
		"one that is known is not lost":                               toldOf(1, builtAt("b1", 1), &family[0]),
		"nor is one whose build was deleted and made again meanwhile": toldOf(1, rebuilt, &family[0]),
	} {
		unknown, err := s.LostRuns(t.Context(), []store.LostRun{told})
		require.NoError(t, err)
		require.Empty(t, unknown, sentence)
	}
	// The number of a run that is lost may be another run's since.
	told := []store.LostRun{toldOf(1, builtAt("b3", 3), &family[0]), toldOf(40, builtAt("b3", 3), &family[1])}
	unknown, err := s.LostRuns(t.Context(), told)
	require.NoError(t, err)
	require.Len(t, unknown, 2)
	for _, run := range unknown {
		require.NoError(t, s.NoteLost(t.Context(), run))
	}
	unknown, err = s.LostRuns(t.Context(), told)
	require.NoError(t, err)
	require.Empty(t, unknown, "it is noted")
	require.Equal(t, 4, count(t, s, "trigger_decision WHERE build_name = 'b3' AND outcome = 'Triggered' AND reason = 'RecordsLost'"), "of both artifacts in both pipelines")

	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	require.Zero(t, count(t, s, "cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = 'b2' AND pipeline = 'web'"), "an older build does not replace it")
	plannedBuild(t, s, builtAt("b4", 4), given.Artifacts(1), family)
	require.Equal(t, 1, count(t, s, "cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = 'b4' AND pipeline = 'web'"))
	require.Zero(t, count(t, s, "cd_workflow WHERE id BETWEEN 2 AND 40"), "no run gets a number that a lost one had")
}

func TestABuildWhosePlanIsLostRunsUnderNewNumbers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf()
	noted, err := s.NoteBuild(t.Context(), builtAt("b1", 1), given.Artifacts(1))
	require.NoError(t, err)
	require.Positive(t, noted.Place.Seq)
	found, err := s.FindBuild(t.Context(), given.Namespace, "b1")
	require.NoError(t, err)
	require.Nil(t, found, "its plan stays lost")
	request := store.Request{
		Namespace: given.Namespace, Name: "again", SpecHash: "hash", Action: v1alpha1.ActionTrigger, Actor: "somebody",
		Pipeline: store.PipelineRef{UID: string(family[0].UID), Namespace: given.Namespace, Name: "web"}, BuildName: "b1",
	}
	answer, err := s.StartRuns(t.Context(), request, store.Starting{
		Build: noted.Build, Place: noted.Place, Decisions: decider(t).Requested(noted.Build, noted.Artifacts, &family[0], family),
	})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase)
	require.Equal(t, []string{"11"}, table(t, s, "SELECT run FROM cd_workflow"), "a lost run's Workflow is not taken for this one's")
}

// The status of a pipeline may tell of a run before that of its build says that it is planned,
// as of a large build.
func TestALostRunIsNotMadeAnewWhenItsBuildIsPlanned(t *testing.T) {
	t.Parallel()
	family := given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("free", unordered), given.CdPipeline("new"), given.CdPipeline("below", given.BelowCd("web")))
	build := builtAt("b1", 1)
	for sentence, plan := range map[string]func(*store.Store){
		"in one transaction": func(s *store.Store) { plannedBuild(t, s, build, given.Artifacts(2), family) },
		"in chunks": func(s *store.Store) {
			begun(t, s, build, given.Artifacts(2), family)
			commitAll(t, s, family, 2)
		},
	} {
		s := newStore(t)
		for run, pipeline := range []*v1alpha1.CdPipeline{family.CdPipeline("web"), family.CdPipeline("free")} {
			require.NoError(t, s.NoteLost(t.Context(), toldOf(int64(run+1), build, pipeline)))
		}
		plan(s)
		require.Equal(t, []string{"new 2"}, table(t, s, "SELECT pipeline, count(*) FROM cd_workflow GROUP BY 1"), sentence)
		require.Equal(t, 1, count(t, s, "turn"), sentence)
		require.Zero(t, count(t, s, "trigger_decision WHERE outcome = 'Waiting'"), "nothing waits for what is lost")
		require.Equal(t, []string{"below Skipped", "free Triggered", "new Triggered", "web Triggered"},
			table(t, s, "SELECT DISTINCT pipeline, outcome FROM trigger_decision ORDER BY 1"), sentence)
	}
}

// A request had it run again in the seconds that are lost.
func TestALostRunOfAKnownBuildIsNotedOnceAndItsNumberIsSkipped(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	drain(t, s, family, store.StatusSucceeded)
	told := toldOf(7, builtAt("b1", 1), &family[0])
	told.Artifacts = given.Artifacts(1)
	require.NoError(t, s.NoteLost(t.Context(), told))
	unknown, err := s.LostRuns(t.Context(), []store.LostRun{told})
	require.NoError(t, err)
	require.Empty(t, unknown, "it is noted")
	require.Equal(t, []string{"Triggered RecordsLost run 7 is not in the database: create a RunRequest with action Trigger to run it again"},
		table(t, s, "SELECT outcome, reason, message FROM trigger_decision"))
	request := store.Request{
		Namespace: given.Namespace, Name: "again", SpecHash: "hash", Action: v1alpha1.ActionTrigger, Actor: "somebody",
		Pipeline: store.PipelineRef{UID: string(family[0].UID), Namespace: given.Namespace, Name: "web"}, BuildName: "b1",
	}
	found, err := s.FindBuild(t.Context(), given.Namespace, "b1")
	require.NoError(t, err)
	_, err = s.StartRuns(t.Context(), request, store.Starting{
		Build: found.Build, Place: found.Place, Decisions: decider(t).Requested(found.Build, found.Artifacts, &family[0], family), AllowOlder: true,
	})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "11"}, table(t, s, "SELECT run FROM cd_workflow ORDER BY id"), "the Workflow of the lost one, number 2, is not taken for this one's")
}

func TestARunThatWasAdoptedMeanwhileIsNotNotedAsLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	adopt(t, s, adoptionOf(builtAt("b1", 1), &family[0], trigger.StageDeploy))
	told := toldOf(7, builtAt("b1", 1), &family[0])
	told.Artifacts = given.Artifacts(1)
	require.NoError(t, s.NoteLost(t.Context(), told))
	require.Equal(t, []string{"Triggered Adopted"}, table(t, s, "SELECT outcome, reason FROM trigger_decision"))
}
