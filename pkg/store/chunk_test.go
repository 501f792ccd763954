package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// begun begins a plan that is to be committed in chunks.
func begun(t testing.TB, s *store.Store, build trigger.Build, artifacts []v1alpha1.Artifact, family given.Family) {
	t.Helper()
	done, err := s.BeginPlan(t.Context(), store.LargePlan{
		Build: build, Artifacts: artifacts, Below: trigger.Descendants(given.CI, family),
	})
	require.NoError(t, err)
	require.True(t, done)
}

// only are some pipelines, the children of CI among them.
type only map[string]*v1alpha1.CdPipeline

func (o only) Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	var children []v1alpha1.CdPipeline
	for _, pipeline := range o {
		if pipeline.Spec.ParentRef.Kind == kind && pipeline.Spec.ParentRef.Name == name {
			children = append(children, *pipeline)
		}
	}
	return children
}

// nextChunk is the next chunk of an open plan, with so many pipelines at most.
func nextChunk(t testing.TB, s *store.Store, family given.Family, pipelines int) store.Chunk {
	t.Helper()
	plans, err := s.OpenPlans(t.Context(), 10, nil)
	require.NoError(t, err)
	require.NotEmpty(t, plans)
	next, err := s.NextChunk(t.Context(), plans[0].Build.UID, pipelines)
	require.NoError(t, err)
	require.NotEmpty(t, next)
	chunk := store.Chunk{Build: plans[0].Build, Pipelines: next}
	if next[0].RootUID != "" {
		return chunk
	}
	artifacts, err := s.Artifacts(t.Context(), plans[0].Build.UID)
	require.NoError(t, err)
	require.Len(t, artifacts, plans[0].Artifacts)
	some := only{}
	for _, pipeline := range next {
		some[pipeline.Name] = family.CdPipeline(pipeline.Name)
	}
	chunk.Decisions = decider(t).Build(plans[0].Build, given.CiPipeline(given.CI), artifacts, some)
	return chunk
}

// commitAll commits chunk after chunk, and returns how many there were.
func commitAll(t testing.TB, s *store.Store, family given.Family, pipelines int) int {
	t.Helper()
	for n := 1; ; n++ {
		last, err := s.CommitChunk(t.Context(), nextChunk(t, s, family, pipelines))
		require.NoError(t, err)
		if last {
			return n
		}
	}
}

// outcome is all that planning leaves but for ids and times.
func outcome(t testing.TB, s *store.Store) []string {
	t.Helper()
	return table(t, s, `
		SELECT 'decision ' || concat_ws(' ', pipeline, image, outcome, reason, message, waits_for) FROM trigger_decision
		UNION ALL SELECT 'task ' || concat_ws(' ', owner_name, identity, workflow_name, status, reason, priority, inputs - 'run') FROM task
		UNION ALL SELECT 'run ' || concat_ws(' ', pipeline, run, artifacts, also, cause, descends) FROM cd_workflow
		UNION ALL SELECT 'turn ' || concat_ws(' ', p.pipeline, t.state, t.built_at, t.build_seq) FROM turn t JOIN cd_pipeline p USING (pipeline_uid)
		UNION ALL SELECT 'build ' || concat_ws(' ', build_name, phase, planned_at IS NOT NULL) FROM ci_build
		UNION ALL SELECT 'event ' || concat_ws(' ', kind, build_name, pipeline, stage, state, reason, message) FROM event
		ORDER BY 1`)
}

// mixed is a family with everything that a plan tells apart.
func mixed() given.Family {
	return given.FamilyOf(
		given.CdPipeline("a", given.WithPre), given.CdPipeline("all", given.AllArtifacts), given.CdPipeline("off", given.Suspended),
		given.CdPipeline("filtered", given.Filter("artifact.image.endsWith('1')")), given.CdPipeline("broken", given.Filter("artifact.")),
		given.CdPipeline("first", given.Priority(7)), given.CdPipeline("held", given.Held), given.CdPipeline("free", unordered),
		given.CdPipeline("below-a", given.BelowCd("a")), given.CdPipeline("further", given.BelowCd("below-a")),
		given.CdPipeline("below-off", given.BelowCd("off")), given.CdPipeline("below-filtered", given.BelowCd("filtered")),
		given.CdPipeline("below-all", given.BelowCd("all")),
	)
}

func TestAPlanInChunksIsWhatItIsInOneTransaction(t *testing.T) {
	t.Parallel()
	same := given.Artifacts(3)
	same[2].Digest, same[2].Image = same[0].Digest, same[0].Image+"-too"
	failed := given.Build("b1")
	failed.Phase = v1alpha1.BuildFailed
	for sentence, tc := range map[string]struct {
		build     trigger.Build
		artifacts []v1alpha1.Artifact
	}{
		"of a build with several artifacts":            {given.Build("b1"), given.Artifacts(3)},
		"of one with two names for one digest":         {given.Build("b1"), same},
		"of a build that failed":                       {failed, nil},
		"of one that succeeded and has made no images": {given.Build("b1"), nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			whole := newStore(t)
			plannedBuild(t, whole, tc.build, tc.artifacts, mixed())
			for _, pipelines := range []int{1, 3, 100} {
				chunked := newStore(t)
				begun(t, chunked, tc.build, tc.artifacts, mixed())
				require.Zero(t, count(t, chunked, "ci_build WHERE planned_at IS NOT NULL"))
				require.LessOrEqual(t, 13/pipelines, commitAll(t, chunked, mixed(), pipelines))
				require.Equal(t, outcome(t, whole), outcome(t, chunked), "%d pipelines in each chunk", pipelines)
				require.Zero(t, count(t, chunked, "plan")+count(t, chunked, "plan_pipeline"))
			}
		})
	}
}

func TestARunOfALaterChunkStandsBehindThoseBefore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := append(given.CdPipelines(6, "web"), *given.CdPipeline("first", given.Priority(1)))
	begun(t, s, given.Build("b1"), given.Artifacts(2), family)
	require.Equal(t, 4, commitAll(t, s, family, 2))
	require.Equal(t, []string{"first", "web-000", "web-001", "web-002", "web-003", "web-004", "web-005"},
		table(t, s, "SELECT owner_name FROM task GROUP BY 1 ORDER BY min(fair_at), min(id)"))
	require.Equal(t, 14, count(t, s, "(SELECT DISTINCT fair_at FROM task) places"))
	require.Equal(t, []string{"true"},
		table(t, s, "SELECT max(fair_at) - min(fair_at) BETWEEN interval '12.9 s' AND interval '13.1 s' FROM task"))
}

func TestAChunkIsCommittedOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(4, "web")
	begun(t, s, given.Build("b1"), given.Artifacts(1), family)
	again, err := s.BeginPlan(t.Context(), store.LargePlan{
		Build: given.Build("b1"), Artifacts: given.Artifacts(2), Below: trigger.Descendants(given.CI, given.CdPipelines(9, "web")),
	})
	require.NoError(t, err)
	require.False(t, again)
	done, err := s.Plan(t.Context(), planOf(t, given.Build("b1"), given.Artifacts(1), family))
	require.NoError(t, err)
	require.False(t, done, "its plan has begun in chunks")
	planned, err := s.IsPlanned(t.Context(), given.Build("b1").UID)
	require.NoError(t, err)
	require.True(t, planned, "nobody else needs to plan it")

	chunk := nextChunk(t, s, family, 2)
	_, err = s.CommitChunk(t.Context(), chunk)
	require.NoError(t, err)
	before := fingerprint(t, s)
	_, err = s.CommitChunk(t.Context(), chunk)
	require.ErrorIs(t, err, store.ErrStale)
	require.Equal(t, before, fingerprint(t, s))

	last := nextChunk(t, s, family, 2)
	done, err = s.CommitChunk(t.Context(), last)
	require.NoError(t, err)
	require.True(t, done)
	_, err = s.CommitChunk(t.Context(), last)
	require.ErrorIs(t, err, store.ErrStale)
	require.Equal(t, 4, count(t, s, "task"))
}

func TestABuildWaitsForOneOfItsCiPipelineThatIsPlannedInChunks(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(4, "web")
	begun(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	newer := planOf(t, builtAt("b2", 2), given.Artifacts(1), family)
	_, err := s.Plan(t.Context(), newer)
	require.ErrorIs(t, err, store.ErrPlanBusy)
	_, err = s.BeginPlan(t.Context(), store.LargePlan{Build: builtAt("b2", 2)})
	require.ErrorIs(t, err, store.ErrPlanBusy)
	elsewhere := builtAt("b3", 3)
	elsewhere.CiPipeline = "other"
	plannedBuild(t, s, elsewhere, given.Artifacts(1), nil)

	commitAll(t, s, family, 3)
	done, err := s.Plan(t.Context(), newer)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, []string{"b1 Active 4", "b2 Waiting 4"},
		table(t, s, "SELECT build_name, state, count(*) FROM turn JOIN ci_build USING (build_uid) GROUP BY 1, 2 ORDER BY 1"))
}

func TestAPlanThatDoesNotMoveKeepsOtherBuildsForAMinuteAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(4, "web")
	begun(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	_, err := s.CommitChunk(t.Context(), nextChunk(t, s, family, 2))
	require.NoError(t, err)
	execute(t, s, "UPDATE plan SET moved_at = now() - interval '61 s'")
	planned(t, s, "b2", nil)
	plannedBuild(t, s, builtAt("b3", 3), given.Artifacts(1), family)
	commitAll(t, s, family, 2)
	require.Equal(t, []string{"web-002 Superseded", "web-003 Superseded"}, table(t, s, `
		SELECT pipeline, reason FROM trigger_decision WHERE build_name = 'b1' AND outcome = 'Skipped' ORDER BY 1`), "a newer build had its turn there (I8)")
	require.Equal(t, 2, count(t, s, "cd_workflow w JOIN ci_build b USING (build_uid) WHERE build_name = 'b1'"))
}

// What hangs below a child whose run has ended was decided with that end.
func TestWhatIsFurtherBelowFollowsARunThatEndedBeforeItsChunk(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[store.Status]string{
		store.StatusSucceeded: "b Triggered Triggered", store.StatusFailed: "b Blocked ParentNotSucceeded",
	} {
		s := newStore(t)
		family := given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b", given.BelowCd("a")), given.CdPipeline("c", given.BelowCd("a")))
		begun(t, s, given.Build("b1"), given.Artifacts(1), family)
		_, err := s.CommitChunk(t.Context(), nextChunk(t, s, family, 1))
		require.NoError(t, err)
		end(t, s, outcome)
		ended, err := s.Unfollowed(t.Context(), 10, nil)
		require.NoError(t, err)
		require.Len(t, ended, 1)
		now := given.FamilyOf(&family[0], &family[1]) // c hangs elsewhere now
		decisions := decider(t).Succeeded(ended[0].Build, ended[0].Artifacts, "a", now)
		if outcome != store.StatusSucceeded {
			decisions = decider(t).Ended(ended[0].Artifacts, "a", string(outcome), now)
		}
		require.NoError(t, s.Follow(t.Context(), []store.Consequence{{Ended: ended[0], Outcome: outcome, Decisions: decisions}}))
		commitAll(t, s, family, 1)
		require.Equal(t, []string{"a Triggered Triggered", want, "c Skipped ParentChanged"},
			table(t, s, "SELECT pipeline, outcome, reason FROM trigger_decision ORDER BY 1"), fmt.Sprint(outcome))
	}
}

// end has every task that can be claimed end so.
func end(t testing.TB, s *store.Store, status store.Status) {
	t.Helper()
	claims, err := s.Claim(t.Context(), cd, "w", 1000, lease)
	require.NoError(t, err)
	require.NotEmpty(t, claims)
	var seenAs []store.Observation
	for _, claim := range claims {
		seenAs = append(seenAs, seen(claim, status))
	}
	_, err = s.Observe(t.Context(), seenAs)
	require.NoError(t, err)
}

func TestOfManyWorkersAtOnceEachChunkIsCommittedByOne(t *testing.T) {
	t.Parallel()
	whole, s := newStore(t), newStore(t)
	plannedBuild(t, whole, given.Build("b1"), given.Artifacts(3), mixed())
	begun(t, s, given.Build("b1"), given.Artifacts(3), mixed())
	decide := decider(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				pipelines, err := s.NextChunk(t.Context(), given.Build("b1").UID, 2)
				if err != nil || len(pipelines) == 0 {
					assert.NoError(t, err)
					return
				}
				chunk := store.Chunk{Build: given.Build("b1"), Pipelines: pipelines}
				if pipelines[0].RootUID == "" {
					some := only{}
					for _, pipeline := range pipelines {
						some[pipeline.Name] = mixed().CdPipeline(pipeline.Name)
					}
					chunk.Decisions = decide.Build(chunk.Build, given.CiPipeline(given.CI), given.Artifacts(3), some)
				}
				if _, err := s.CommitChunk(t.Context(), chunk); !errors.Is(err, store.ErrStale) {
					assert.NoError(t, err)
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, outcome(t, whole), outcome(t, s))
}

// No run of it is lost: it is only not planned to its end.
func TestARunBelowALargeBuildThatIsBeingPlannedHasTheFirstNumber(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("all", given.BelowCd("a"), given.AllArtifacts))
	begun(t, s, given.Build("b1"), given.Artifacts(1), family)
	_, err := s.CommitChunk(t.Context(), nextChunk(t, s, family, 1))
	require.NoError(t, err)
	end(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"a 1", "all 1"}, table(t, s, "SELECT pipeline, run FROM cd_workflow ORDER BY 1"))
	commitAll(t, s, family, 1)
	require.Equal(t, 3, count(t, s, "cd_workflow"))
}
