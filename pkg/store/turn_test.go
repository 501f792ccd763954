package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// policies are all that a pipeline can have.
var policies = []v1alpha1.ConcurrencyPolicy{
	v1alpha1.ConcurrencyQueue, v1alpha1.ConcurrencyLatest, v1alpha1.ConcurrencyReplace, v1alpha1.ConcurrencyAllow,
}

// started are the builds whose first stage was let go in the pipeline, in that order.
func started(t testing.TB, s *store.Store, pipeline string) []string {
	t.Helper()
	return table(t, s, `SELECT e.build_name FROM event e JOIN task t ON t.id = e.task_id JOIN cd_workflow_runner r ON r.task_id = t.id
		WHERE e.kind = 'Task' AND e.state = 'Pending' AND e.reason = '' AND e.pipeline = $1
		  AND r.id = (SELECT min(f.id) FROM cd_workflow_runner f WHERE f.cd_workflow_id = r.cd_workflow_id)
		ORDER BY e.id`, pipeline)
}

// fate is what became of a build in a pipeline: its runs' outcomes, or why there is none.
func fate(t testing.TB, s *store.Store, build, pipeline string) string {
	t.Helper()
	lines := table(t, s, `SELECT COALESCE(w.outcome, 'open') FROM cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = $1 AND w.pipeline = $2 ORDER BY w.id`, build, pipeline)
	if len(lines) == 0 {
		lines = table(t, s, "SELECT outcome, reason FROM trigger_decision WHERE build_name = $1 AND pipeline = $2 ORDER BY id", build, pipeline)
	}
	return fmt.Sprint(lines)
}

// drain ends all Workflows, again and again, until nothing is under way.
func drain(t testing.TB, s *store.Store, family given.Family, end store.Status) {
	t.Helper()
	for round := 0; count(t, s, "task WHERE status IN ('Pending', 'Submitting', 'Submitted', 'Running') OR (status <> 'Held' AND settled_at IS NULL)") > 0; round++ {
		require.Less(t, round, 1000, "it does not come to an end")
		endActive(t, s, end)
		followAll(t, s, family)
	}
}

// permutations are all orders of 1 to n.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, rest := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(rest), i, n))
		}
	}
	return all
}

// course is what is to become of builds 1 to n that are planned in some order, the first
// of which is active until all are: who starts, in that order, and the fate of each.
func course(policy v1alpha1.ConcurrencyPolicy, planned []int, end store.Status) (starts []int, fates map[int]string) {
	first, newest := planned[0], slices.Max(planned)
	fates = map[int]string{first: fmt.Sprintf("[%s]", end)}
	starts = []int{first}
	switch policy {
	case v1alpha1.ConcurrencyAllow:
		starts = planned
	case v1alpha1.ConcurrencyQueue:
		newer := slices.DeleteFunc(slices.Sorted(slices.Values(planned)), func(build int) bool { return build <= first })
		starts = append(starts, newer...)
	default:
		if newest != first {
			starts = append(starts, newest)
		}
		if policy == v1alpha1.ConcurrencyReplace && newest != first && end == store.StatusFailed {
			fates[first] = "[Superseded]" // it was stopped, which is why it failed
		}
	}
	for place, build := range planned[1:] {
		switch {
		case slices.Contains(starts, build):
			fates[build] = fmt.Sprintf("[%s]", end)
		case build < first, slices.ContainsFunc(planned[1:place+1], func(before int) bool { return before > build }):
			fates[build] = "[Skipped Superseded]"
		default:
			fates[build] = "[Superseded]" // its run was planned, and ended before it started
		}
	}
	return starts, fates
}

func TestBuildsThatArePlannedWhileOneIsActiveTakeTheirTurnsByThePolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for _, order := range append(permutations(2), permutations(3)...) {
				for _, end := range []store.Status{store.StatusSucceeded, store.StatusFailed} {
					sentence := fmt.Sprintf("builds planned as %v that end as %s", order, end)
					pipeline := fmt.Sprintf("web-%v-%s", order, end)
					family := given.FamilyOf(given.CdPipeline(pipeline, given.Concurrency(policy)))
					name := func(build int) string { return fmt.Sprintf("%s-b%d", pipeline, build) }
					for _, build := range order {
						plannedBuild(t, s, builtAt(name(build), build), given.Artifacts(1), family)
						_, err := s.Claim(t.Context(), cd, "w", 10, lease)
						require.NoError(t, err)
					}
					drain(t, s, family, end)
					starts, fates := course(policy, order, end)
					var want []string
					for _, build := range starts {
						want = append(want, name(build))
					}
					require.Equal(t, want, started(t, s, pipeline), sentence)
					for build, want := range fates {
						require.Equal(t, want, fate(t, s, name(build), pipeline), "build %d of %s", build, sentence)
					}
				}
			}
			require.Zero(t, count(t, s, "turn WHERE state NOT IN ('Ended', 'Superseded') OR ended_at IS NULL"))
			require.Zero(t, count(t, s, "task WHERE status = 'Held'"))
		})
	}
}

// Each build ends before the next one is planned: an older one comes too late.
func TestABuildThatIsPlannedAfterANewerOneHadItsTurnIsSkipped(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for _, order := range append(permutations(2), permutations(3)...) {
				for _, end := range []store.Status{store.StatusSucceeded, store.StatusFailed} {
					pipeline := fmt.Sprintf("web-%v-%s", order, end)
					family := given.FamilyOf(
						given.CdPipeline(pipeline, given.Concurrency(policy)), given.CdPipeline(pipeline+"-below", given.BelowCd(pipeline), unordered),
						given.CdPipeline(pipeline+"-far", given.BelowCd(pipeline+"-below"), unordered))
					newest := 0
					for _, build := range order {
						name := fmt.Sprintf("%s-b%d", pipeline, build)
						plannedBuild(t, s, builtAt(name, build), given.Artifacts(1), family)
						drain(t, s, family, end)
						if build < newest && policy != v1alpha1.ConcurrencyAllow {
							require.Equal(t, "[Skipped Superseded]", fate(t, s, name, pipeline))
							require.Equal(t, "[Skipped ParentNotTriggered]", fate(t, s, name, pipeline+"-below"))
							require.Equal(t, "[Skipped ParentNotTriggered]", fate(t, s, name, pipeline+"-far"))
							require.Zero(t, count(t, s, "cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = '"+name+"'"))
							continue
						}
						newest = max(newest, build)
						require.Equal(t, fmt.Sprintf("[%s]", end), fate(t, s, name, pipeline))
					}
				}
			}
		})
	}
}

func TestTwoBuildsOfOneMomentAreInTheOrderInWhichTheyWereSeen(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"x", "y"}, {"y", "x"}} { // whose UID is lower does not count
		for sentence, together := range map[string]bool{"at once": true, "one after the other": false} {
			s := newStore(t)
			family := given.FamilyOf(given.CdPipeline("web"))
			first, second := builtAt(names[0], 1), builtAt(names[1], 1)
			if together {
				require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{mirrored(first, "Running"), mirrored(second, "Running")}))
			} else {
				require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{mirrored(first, "Running")}))
				require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{mirrored(second, "Running")}))
			}
			plannedBuild(t, s, second, given.Artifacts(1), family)
			plannedBuild(t, s, first, given.Artifacts(1), family)
			require.Equal(t, "[Skipped Superseded]", fate(t, s, first.Name, "web"), sentence)
			require.Equal(t, []string{second.Name + " Active"}, turns(t, s), sentence)
		}
	}
}

// A newer build's first stage waits for a person in a pipeline of which an older build
// still has the turn, or comes later.
func TestAFirstStageThatIsHeldTakesNoTurn(t *testing.T) {
	t.Parallel()
	for sentence, held := range map[string][]func(*v1alpha1.CdPipeline){
		"for a person": {given.ManualStage(trigger.StageDeploy)},
		"by spec.hold": {given.Held},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			waits := given.FamilyOf(given.CdPipeline("web", held...))
			free := given.FamilyOf(given.CdPipeline("web"))
			plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), waits)
			require.Equal(t, []string{"b2 Yielded"}, turns(t, s))
			require.Zero(t, count(t, s, "cd_pipeline WHERE newest_seq > 0"), "it has not had its turn")

			plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), free)
			require.Equal(t, []string{"b1 Active", "b2 Yielded"}, turns(t, s), "an older build goes first")
			require.NoError(t, s.Reconsider(t.Context(), refOf(free, "web"), trigger.Hold{}, holdOf(free, "web")))
			require.Equal(t, []string{"b1 Active", "b2 Waiting"}, turns(t, s), "nothing holds it now but its turn")
			require.Equal(t, []string{"b2 Held Turn"}, table(t, s, "SELECT inputs->>'build', status, reason FROM task WHERE status = 'Held'"))
			drain(t, s, free, store.StatusFailed)
			require.Equal(t, []string{"b1", "b2"}, started(t, s, "web"))
			require.Equal(t, []string{"b1 Ended", "b2 Ended"}, turns(t, s))
		})
	}
}

func TestABuildThatYieldsIsSupersededByANewerOneThatTakesTheTurn(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1alpha1.ConcurrencyPolicy{"", v1alpha1.ConcurrencyQueue, v1alpha1.ConcurrencyLatest, v1alpha1.ConcurrencyReplace} {
		s := newStore(t)
		web := given.CdPipeline("web", given.WithPre, given.WithPost, given.ManualStage(trigger.StageDeploy), given.Concurrency(policy))
		family := given.FamilyOf(web, given.CdPipeline("below", given.BelowCd("web")))
		plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
		endActive(t, s, store.StatusSucceeded)
		followAll(t, s, family)
		require.Equal(t, []string{"b1 Yielded"}, turns(t, s))

		plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
		require.Equal(t, []string{"b1 Superseded", "b2 Active"}, turns(t, s), policy)
		require.Equal(t, []string{"DEPLOY Superseded Superseded", "POST Held StageBefore", "PRE Succeeded "}, table(t, s,
			"SELECT inputs->>'stage', status, reason FROM task WHERE inputs->>'build' = 'b1' ORDER BY 1"))
		followAll(t, s, family)
		require.Equal(t, "[Superseded]", fate(t, s, "b1", "web"))
		require.Equal(t, "[Skipped ParentNotTriggered]", fate(t, s, "b1", "below"))
		require.Equal(t, []string{"Cancelled StageBeforeFailed true"}, table(t, s,
			"SELECT status, reason, settled_at IS NOT NULL FROM task WHERE inputs->>'build' = 'b1' AND inputs->>'stage' = 'POST'"))
		require.Equal(t, []string{"the newer build b2 went first in this pipeline: to deploy this one all the same, create a RunRequest with action Trigger and allowOlder"},
			table(t, s, "SELECT message FROM task WHERE status = 'Superseded'"))
	}
}

func TestABuildThatYieldedAndWasNotOvertakenTakesItsTurnAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost)))
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"b1 Yielded"}, turns(t, s))
	resume(t, s, family, "web", 1)
	require.Equal(t, []string{"b1 Active"}, turns(t, s))
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
	require.Equal(t, []string{"b1 Ended"}, turns(t, s))
}

func TestARetryWithBackOffKeepsTheTurn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithRetries(1, time.Hour)))
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	endActive(t, s, store.StatusFailed)
	followAll(t, s, family)
	require.Equal(t, []string{"b1 Active", "b2 Waiting"}, turns(t, s))
	require.Empty(t, endAll(t, s, store.StatusFailed), "it is left alone for its back-off")
	execute(t, s, "UPDATE task SET available_at = now() WHERE status = 'Pending'")
	endActive(t, s, store.StatusFailed)
	followAll(t, s, family)
	require.Equal(t, []string{"b1 Ended", "b2 Active"}, turns(t, s))
}

func TestTheRunsOfOneBuildGoTogether(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		s := newStore(t)
		family := given.FamilyOf(given.CdPipeline("web", given.Concurrency(policy)))
		plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(3), family)
		require.Equal(t, []string{"b1 Active"}, turns(t, s))
		claims := claim(t, s, "w", 3)
		observe(t, s, claims[0], store.StatusSucceeded)
		followAll(t, s, family)
		observe(t, s, claims[1], store.StatusFailed)
		followAll(t, s, family)
		require.Equal(t, []string{"b1 Active"}, turns(t, s), "a run of it has not ended")
		observe(t, s, claims[2], store.StatusSucceeded)
		followAll(t, s, family)
		require.Equal(t, []string{"b1 Ended"}, turns(t, s))
	}
}

// The second artifact comes later, since its run in the pipeline above took longer.
func TestAnArtifactThatComesLaterJoinsTheTurnOfItsBuild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("above"), given.CdPipeline("web", given.BelowCd("above")))
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(2), family)
	claims := claim(t, s, "w", 2)
	observe(t, s, claims[0], store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, 1, count(t, s, "task WHERE owner_name = 'web' AND status = 'Pending'"))
	observe(t, s, claims[1], store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, 2, count(t, s, "task WHERE owner_name = 'web' AND status = 'Pending'"))
	require.Equal(t, 1, count(t, s, fmt.Sprintf("turn WHERE pipeline_uid = '%s'", given.UID("web"))))
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, "[Succeeded Succeeded]", fate(t, s, "b1", "web"))
}

// Of two builds that reach a pipeline in one transaction the older one's turn waits
// already, and is superseded in it: so is what would join it.
func TestAnArtifactThatWouldJoinATurnThatIsSupersededIsSkipped(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("above", unordered), given.CdPipeline("web", given.BelowCd("above"), given.Concurrency(v1alpha1.ConcurrencyLatest)))
	plannedBuild(t, s, builtAt("b0", 0), given.Artifacts(1), family)
	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	claim(t, s, "w", 1) // b0 has the turn
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(2), family)
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	claims := claim(t, s, "w", 3)
	byBuild := func(a, b store.Claim) int { return int(a.Inputs.Run - b.Inputs.Run) }
	slices.SortFunc(claims, byBuild)
	observe(t, s, claims[0], store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"b0 Active", "b1 Waiting"}, webTurns(t, s))

	observe(t, s, claims[1], store.StatusSucceeded)
	observe(t, s, claims[2], store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, []string{"b0 Active", "b1 Superseded", "b2 Waiting"}, webTurns(t, s))
	require.Equal(t, []string{given.Artifact(0).Image + " Triggered", given.Artifact(1).Image + " Skipped"},
		table(t, s, "SELECT image, outcome FROM trigger_decision WHERE build_name = 'b1' AND pipeline = 'web' ORDER BY 1"))
	drain(t, s, family, store.StatusSucceeded)
	require.Zero(t, count(t, s, "task WHERE status = 'Held'"), "it would wait for ever for a turn that is over")
	require.Equal(t, "[Superseded]", fate(t, s, "b1", "web"))
	require.Equal(t, "[Succeeded]", fate(t, s, "b2", "web"))
}

func webTurns(t *testing.T, s *store.Store) []string {
	t.Helper()
	return table(t, s, "SELECT b.build_name, t.state FROM turn t JOIN ci_build b USING (build_uid) WHERE t.pipeline_uid = $1 ORDER BY t.id", string(given.UID("web")))
}

func TestABuildThatIsCancelledWhileItWaitsTakesNoTurn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(3), family)
	claim(t, s, "w", 1)
	moved, err := s.CancelWaiting(t.Context(), string(given.UID("web")), v1alpha1.ReasonSuspended, "spec.suspend is true")
	require.NoError(t, err)
	require.Len(t, moved, 3)
	for _, ended := range unfollowed(t, s) { // one after the other, as in batches
		require.NoError(t, s.Follow(t.Context(), []store.Consequence{consequenceOf(t, ended, family)}))
		require.Equal(t, 1, count(t, s, "turn WHERE state = 'Active'"), "b1 has it")
	}
	require.Equal(t, []string{"b1 Active", "b2 Ended"}, turns(t, s))
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, []string{"b1"}, started(t, s, "web"))
}

func TestWhatIsReplacedIsStoppedOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPost, given.Concurrency(v1alpha1.ConcurrencyReplace)))
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
	row := claim(t, s, "w", 1)[0]
	observe(t, s, row, store.StatusRunning)
	stopping := func() []store.Stopping {
		tasks, err := s.Stopping(t.Context(), 10)
		require.NoError(t, err)
		return tasks
	}
	require.Empty(t, stopping())
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	require.Equal(t, []string{"b1 Active", "b2 Waiting"}, turns(t, s), "the newer one starts when this one has ended")
	require.Equal(t, []store.Stopping{{ID: row.ID, Namespace: row.Namespace, WorkflowName: row.WorkflowName}}, stopping())
	execute(t, s, "UPDATE task SET changed_at = changed_at - interval '1 h' WHERE id = $1", row.ID)
	before := table(t, s, "SELECT task::text, xmin::text FROM task WHERE id = $1", row.ID)
	plannedBuild(t, s, builtAt("b3", 3), given.Artifacts(1), family)
	require.Equal(t, before, table(t, s, "SELECT task::text, xmin::text FROM task WHERE id = $1", row.ID), "it is being stopped already")

	observe(t, s, row, store.StatusFailed)
	require.Equal(t, []string{"Superseded Replaced a newer build replaces this one (concurrencyPolicy Replace)"},
		table(t, s, "SELECT status, reason, message FROM task WHERE id = $1", row.ID))
	require.Empty(t, stopping())
	followAll(t, s, family)
	require.Equal(t, []string{"b1 Ended", "b2 Superseded", "b3 Active"}, turns(t, s))
	require.Equal(t, "[Superseded]", fate(t, s, "b1", "web"))
}

func TestBuildsThatWaitGoOnWithTheNextOneOnceTheirPipelineAllowsIt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	plan := func(build int, policy v1alpha1.ConcurrencyPolicy) {
		family := given.FamilyOf(given.CdPipeline("web", given.Concurrency(policy)))
		plannedBuild(t, s, builtAt(fmt.Sprintf("b%d", build), build), given.Artifacts(1), family)
	}
	plan(1, v1alpha1.ConcurrencyQueue)
	plan(2, v1alpha1.ConcurrencyQueue)
	require.Equal(t, []string{"b1"}, started(t, s, "web"))
	plan(3, v1alpha1.ConcurrencyAllow)
	require.ElementsMatch(t, []string{"b1", "b2", "b3"}, started(t, s, "web"))
	drain(t, s, given.FamilyOf(given.CdPipeline("web", unordered)), store.StatusSucceeded)
	require.Zero(t, count(t, s, "turn WHERE state <> 'Ended'"))
}
