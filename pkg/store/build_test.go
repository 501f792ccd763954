package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// ci is the lane of builds.
var ci = store.Lane{Kind: store.KindCi}

// builder is a CiPipeline of that name whose builds run here.
func builder(name string, policy v1alpha1.ConcurrencyPolicy) store.PipelineRef {
	return store.PipelineRef{UID: string(given.UID(name)), Namespace: given.Namespace, Name: name, Policy: policy}
}

// queue commits the task of a build of the pipeline and ref.
func queue(t testing.TB, s *store.Store, pipeline store.PipelineRef, build trigger.Build, ref string) {
	t.Helper()
	build.CiPipeline, build.Ref, build.Phase = pipeline.Name, ref, v1alpha1.BuildPending
	require.NoError(t, s.QueueBuilds(t.Context(), []store.QueuedBuild{{Build: build, Pipeline: pipeline}}, true))
}

// claimBuilds takes all builds that may start.
func claimBuilds(t testing.TB, s *store.Store) []store.Claim {
	t.Helper()
	claims, err := s.Claim(t.Context(), ci, "w", 100, lease)
	require.NoError(t, err)
	return claims
}

// settleBuilds has those that have ended told, and gives the turns anew.
func settleBuilds(t testing.TB, s *store.Store, policy v1alpha1.ConcurrencyPolicy) int {
	t.Helper()
	ended, err := s.EndedBuilds(t.Context(), 100, nil)
	require.NoError(t, err)
	var ids []int64
	for _, build := range ended {
		build.Pipeline.Policy = policy
		require.NoError(t, s.GiveBuildTurns(t.Context(), build.Pipeline, build.Ref, true))
		ids = append(ids, build.ID)
	}
	require.NoError(t, s.SettleBuilds(t.Context(), ids))
	return len(ids)
}

// drainBuilds ends the Workflows of all builds, again and again, until nothing is under way.
func drainBuilds(t testing.TB, s *store.Store, policy v1alpha1.ConcurrencyPolicy, end store.Status) {
	t.Helper()
	for round := 0; count(t, s, "task WHERE kind = 'ci' AND settled_at IS NULL") > 0; round++ {
		require.Less(t, round, 100, "it does not come to an end")
		claimBuilds(t, s)
		endActive(t, s, end)
		settleBuilds(t, s, policy)
	}
}

// buildFates are the builds with their status and reason, by name.
func buildFates(t testing.TB, s *store.Store) []string {
	t.Helper()
	return table(t, s, "SELECT inputs->>'build', status, reason FROM task WHERE kind = 'ci' ORDER BY 1")
}

// startedBuilds are the builds of the pipeline in the order in which they were let go.
func startedBuilds(t testing.TB, s *store.Store, pipeline string) []string {
	t.Helper()
	return table(t, s, "SELECT build_name FROM event WHERE kind = 'Task' AND state = 'Pending' AND pipeline = $1 ORDER BY id", pipeline)
}

func TestBuildsThatAreQueuedWhileOneIsActiveTakeTheirTurnsByThePolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for _, order := range append(permutations(2), permutations(3)...) {
				for _, end := range []store.Status{store.StatusSucceeded, store.StatusFailed} {
					sentence := fmt.Sprintf("builds queued as %v that end as %s", order, end)
					pipeline := builder(fmt.Sprintf("shop-%v-%s", order, end), policy)
					name := func(build int) string { return fmt.Sprintf("%s-b%d", pipeline.Name, build) }
					for _, build := range order {
						queue(t, s, pipeline, builtAt(name(build), build), "main")
						claimBuilds(t, s)
					}
					drainBuilds(t, s, policy, end)
					starts, fates := course(policy, order, end)
					var want []string
					for _, build := range starts {
						want = append(want, name(build))
					}
					require.Equal(t, want, startedBuilds(t, s, pipeline.Name), sentence)
					for build, fate := range fates {
						want := strings.Trim(strings.ReplaceAll(fate, "Skipped ", ""), "[]")
						require.Equal(t, []string{want}, table(t, s, "SELECT status FROM task WHERE inputs->>'build' = $1", name(build)), "build %d of %s", build, sentence)
					}
				}
			}
			require.Empty(t, table(t, s, "SELECT id FROM task WHERE status = 'Superseded' AND (message = '' OR finished_at IS NULL OR reason NOT IN ('Superseded', 'Replaced'))"))
		})
	}
}

// Each build ends before the next one is queued: an older one comes too late.
func TestABuildThatIsQueuedAfterANewerOneHadItsTurnIsSuperseded(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for _, order := range append(permutations(2), permutations(3)...) {
				pipeline, newest := builder(fmt.Sprintf("shop-%v", order), policy), 0
				for _, build := range order {
					name := fmt.Sprintf("%s-b%d", pipeline.Name, build)
					queue(t, s, pipeline, builtAt(name, build), "main")
					drainBuilds(t, s, policy, store.StatusSucceeded)
					want := "Succeeded  "
					if build < newest && policy != v1alpha1.ConcurrencyAllow {
						want = "Superseded Superseded a newer build of the same ref went first"
					}
					newest = max(newest, build)
					require.Equal(t, []string{want}, table(t, s, "SELECT status, reason, message FROM task WHERE inputs->>'build' = $1", name), "%d of %v", build, order)
				}
			}
		})
	}
}

func TestBuildsOfOtherRefsAndPipelinesWaitForNobody(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	shop, cart := builder("shop", v1alpha1.ConcurrencyQueue), builder("cart", v1alpha1.ConcurrencyQueue)
	queue(t, s, shop, builtAt("a1", 3), "main")
	queue(t, s, shop, builtAt("a2", 4), "main")
	queue(t, s, shop, builtAt("b1", 1), "dev")
	queue(t, s, shop, builtAt("c1", 2), "")
	queue(t, s, cart, builtAt("d1", 0), "main")
	require.Equal(t, []string{"a1 Pending ", "a2 Held Turn", "b1 Pending ", "c1 Pending ", "d1 Pending "}, buildFates(t, s))
	require.Len(t, claimBuilds(t, s), 4)
}

// After a start they are known together, in any order.
func TestBuildsThatAreQueuedTogetherAreInTheirOrder(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		for _, order := range permutations(3) {
			s := newStore(t)
			shop := builder("shop", policy)
			var queued []store.QueuedBuild
			for _, build := range order {
				queued = append(queued, store.QueuedBuild{Build: builtAt(fmt.Sprint("b", build), build), Pipeline: shop})
			}
			require.NoError(t, s.QueueBuilds(t.Context(), queued, true))
			drainBuilds(t, s, policy, store.StatusSucceeded)
			want := []string{"b1", "b2", "b3"}
			switch policy {
			case v1alpha1.ConcurrencyLatest, v1alpha1.ConcurrencyReplace:
				want = want[2:]
			case v1alpha1.ConcurrencyAllow:
				require.ElementsMatch(t, want, startedBuilds(t, s, "shop"))
				continue
			}
			require.Equal(t, want, startedBuilds(t, s, "shop"), "%s %v", policy, order)
		}
	}
	require.NoError(t, newStore(t).QueueBuilds(t.Context(), nil, true), "none")
}

func TestABuildHasOneTaskWhateverIsCommittedTwice(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	pipeline, build := builder("shop", v1alpha1.ConcurrencyLatest), builtAt("b1", 1)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.QueueBuilds(t.Context(), []store.QueuedBuild{{Build: build, Pipeline: pipeline}}, true); err != nil {
				t.Errorf("queue: %v", err)
			}
		})
	}
	all.Wait()
	require.Equal(t, []string{"b1 Pending "}, buildFates(t, s))
	require.Equal(t, []string{"Held", "Pending"}, table(t, s, "SELECT state FROM event WHERE kind = 'Task' ORDER BY id"))
	claims := claimBuilds(t, s)
	require.Len(t, claims, 1)
	require.Equal(t, store.KindCi, claims[0].Kind)
	require.Equal(t, store.BuildIdentity(build.UID, pipeline.UID).Hash(), claims[0].Identity)
	require.True(t, trigger.IsBuildName(claims[0].WorkflowName))
	require.Equal(t, trigger.Inputs{Build: "b1", BuildUID: build.UID, Revision: "main", Stage: trigger.StageBuild}, claims[0].Inputs)

	observe(t, s, claims[0], store.StatusSucceeded)
	queue(t, s, pipeline, build, "")
	require.Equal(t, []string{"b1 Succeeded "}, buildFates(t, s), "also after its end")
}

func TestBuildsThatBaseImagesAskForGoLast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i, priority := range []int32{-100, 0, -100, 0} {
		name := fmt.Sprint("b", i)
		build := store.QueuedBuild{Build: builtAt(name, i), Pipeline: builder(name, v1alpha1.ConcurrencyLatest), Priority: priority}
		require.NoError(t, s.QueueBuilds(t.Context(), []store.QueuedBuild{build}, true))
	}
	claims, err := s.Claim(t.Context(), ci, "w", 2, lease)
	require.NoError(t, err)
	names := []string{claims[0].Inputs.Build, claims[1].Inputs.Build}
	slices.Sort(names)
	require.Equal(t, []string{"b1", "b3"}, names)
}

// cancelBuild asks for the end of a build.
func cancelBuild(t testing.TB, s *store.Store, name, reason string) store.Answer {
	t.Helper()
	request := store.Request{
		Namespace: given.Namespace, Name: "cancel", SpecHash: fmt.Sprint(count(t, s, "run_request")), Action: v1alpha1.ActionCancel, Actor: "ann", Reason: reason, BuildName: name,
	}
	answer, err := s.CancelBuild(t.Context(), request, string(given.UID(name)))
	require.NoError(t, err)
	again, err := s.CancelBuild(t.Context(), request, string(given.UID(name)))
	require.NoError(t, err)
	require.Equal(t, answer.Message, again.Message, "a request is carried out once")
	return answer
}

func TestABuildIsCancelledWhereverItIs(t *testing.T) {
	t.Parallel()
	take := func(t *testing.T, s *store.Store) store.Claim { return claimBuilds(t, s)[0] }
	ends := func(status store.Status) func(*testing.T, *store.Store) {
		return func(t *testing.T, s *store.Store) { observe(t, s, take(t, s), status) }
	}
	const done, refused = v1alpha1.RequestDone, v1alpha1.RequestRefused
	const endedNow, stops = "Cancelled Cancelled cancelled by ann: too slow Cancelled", " Cancelled"
	for sentence, test := range map[string]struct {
		before  func(t *testing.T, s *store.Store)
		phase   v1alpha1.RunRequestPhase
		message string
		row     string
	}{
		"it waits for its turn": {func(t *testing.T, s *store.Store) {
			execute(t, s, "UPDATE task SET status = 'Held', reason = 'Turn'")
		}, done, "build b1 is cancelled", endedNow},
		"it waits for its template": {func(t *testing.T, s *store.Store) {
			execute(t, s, "UPDATE task SET status = 'Held', reason = 'Template'")
		}, done, "build b1 is cancelled", endedNow},
		"it is in the queue":                 {func(*testing.T, *store.Store) {}, done, "build b1 is cancelled", endedNow},
		"it was given back, with a Workflow": {func(t *testing.T, s *store.Store) { complete(t, s, take(t, s), store.StatusPending) }, done, "build b1 is cancelled", "Pending r m" + stops},
		"its Workflow is being created":      {func(t *testing.T, s *store.Store) { take(t, s) }, done, "build b1 is cancelled", "Submitting  " + stops},
		"its Workflow exists":                {ends(store.StatusSubmitted), done, "build b1 is cancelled", "Submitted  " + stops},
		"its Workflow runs":                  {ends(store.StatusRunning), done, "build b1 is cancelled", "Running  " + stops},
		"it has succeeded":                   {ends(store.StatusSucceeded), refused, "there is nothing to cancel: CiBuild b1 has ended, or is being stopped", "Succeeded   "},
		"it has failed":                      {ends(store.StatusFailed), refused, "there is nothing to cancel: CiBuild b1 has ended", "Failed   "},
		"it is being stopped": {func(t *testing.T, s *store.Store) {
			take(t, s)
			cancelBuild(t, s, "b1", "too slow")
		}, refused, "there is nothing to cancel: CiBuild b1 has ended, or is being stopped", "Submitting  " + stops},
		"it does not run here": {func(t *testing.T, s *store.Store) { execute(t, s, "DELETE FROM task") }, refused, "CiBuild b1 does not run here: end it where it runs", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			queue(t, s, builder("shop", v1alpha1.ConcurrencyLatest), builtAt("b1", 1), "main")
			test.before(t, s)
			answer := cancelBuild(t, s, "b1", "too slow")
			require.Equal(t, test.phase, answer.Phase)
			require.Contains(t, answer.Message, test.message)
			require.Equal(t, test.row, strings.Join(table(t, s, "SELECT status, reason, message, stop_reason FROM task"), ""))
			ended := count(t, s, "event WHERE kind = 'Task' AND state = 'Cancelled' AND actor = 'ann' AND build_name = 'b1'")
			require.Equal(t, test.row == endedNow, ended == 1)
		})
	}
}

func TestABuildThatIsStoppedTellsWhyAndTheNextOneStarts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	shop := builder("shop", v1alpha1.ConcurrencyQueue)
	queue(t, s, shop, builtAt("b1", 1), "main")
	queue(t, s, shop, builtAt("b2", 2), "main")
	running := claimBuilds(t, s)[0]
	observe(t, s, running, store.StatusRunning)
	cancelBuild(t, s, "b1", "")
	stopping, err := s.Stopping(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, stopping, 1, "its Workflow is stopped")
	observe(t, s, running, store.StatusFailed)
	require.Equal(t, []string{"b1 Cancelled Cancelled", "b2 Held Turn"}, buildFates(t, s))
	require.Equal(t, 1, settleBuilds(t, s, shop.Policy))
	require.Equal(t, []string{"b1 Cancelled Cancelled", "b2 Pending "}, buildFates(t, s))
	require.Zero(t, settleBuilds(t, s, shop.Policy), "it is told once")
}

func TestWhatIsUnderWayOfADeletedBuildIsEnded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	shop := builder("shop", v1alpha1.ConcurrencyQueue)
	queue(t, s, shop, builtAt("b1", 1), "main")
	running := claimBuilds(t, s)[0]
	for i, name := range []string{"b2", "b3"} {
		queue(t, s, shop, builtAt(name, i+2), "main")
	}
	stop := func() int64 {
		stopped, err := s.StopAbandonedBuilds(t.Context(), 10)
		require.NoError(t, err)
		return stopped
	}
	require.Zero(t, stop())
	gone(t, s, 1, 2)
	require.Equal(t, int64(2), stop())
	require.Zero(t, stop(), "once")
	require.Equal(t, []string{"b1 Submitting ", "b2 Cancelled BuildDeleted", "b3 Held Turn"}, buildFates(t, s))
	observe(t, s, running, store.StatusFailed)
	settleBuilds(t, s, shop.Policy)
	require.Equal(t, []string{"b1 Cancelled BuildDeleted", "b2 Cancelled BuildDeleted", "b3 Pending "}, buildFates(t, s))
}

func TestWhatIsUnderWayOfABuildThatSomebodyElseEndedIsStopped(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	shop := builder("shop", v1alpha1.ConcurrencyQueue)
	queue(t, s, shop, builtAt("b1", 1), "main")
	running := claimBuilds(t, s)[0]
	observe(t, s, running, store.StatusRunning)
	for i, name := range []string{"b2", "b3"} {
		queue(t, s, shop, builtAt(name, i+2), "main")
	}
	execute(t, s, "UPDATE ci_build SET phase = CASE build_name WHEN 'b1' THEN 'Succeeded' ELSE 'Failed' END WHERE build_name <> 'b3'")
	stopped, err := s.StopAbandonedBuilds(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, int64(2), stopped)
	require.Equal(t, []string{"b1 Running ", "b2 Cancelled BuildEnded", "b3 Held Turn"}, buildFates(t, s))
	stopping, err := s.Stopping(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, stopping, 1)
	observe(t, s, running, store.StatusFailed)
	require.Equal(t, []string{"Cancelled BuildEnded the status of the CiBuild says already that it ended as Succeeded"}, table(t, s,
		"SELECT status, reason, message FROM task WHERE inputs->>'build' = 'b1'"))
	settleBuilds(t, s, shop.Policy)
	require.Equal(t, []string{"b1 Cancelled BuildEnded", "b2 Cancelled BuildEnded", "b3 Pending "}, buildFates(t, s))
}

// hold gives a claimed build back, since its template does not exist.
func hold(t testing.TB, s *store.Store, claim store.Claim) {
	t.Helper()
	moved, err := s.Complete(t.Context(), "w", []store.Completion{{
		ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusHeld, Reason: v1alpha1.ReasonTemplate, Message: "WorkflowTemplate deploy does not exist",
	}})
	require.NoError(t, err)
	require.Len(t, moved, 1)
}

func TestABuildThatWaitsForItsTemplateYieldsItsTurn(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		s := newStore(t)
		shop := builder("shop", policy)
		queue(t, s, shop, builtAt("b1", 1), "main")
		hold(t, s, claimBuilds(t, s)[0])
		require.NoError(t, s.GiveBuildTurns(t.Context(), shop, "main", false))
		require.Equal(t, []string{"b1 Held Template"}, buildFates(t, s), "it still does not exist")
		require.NoError(t, s.GiveBuildTurns(t.Context(), shop, "main", true))
		require.Equal(t, []string{"b1 Pending "}, buildFates(t, s))

		hold(t, s, claimBuilds(t, s)[0])
		newer := store.QueuedBuild{Build: builtAt("b2", 2), Pipeline: shop}
		newer.Build.Ref = "main"
		require.NoError(t, s.QueueBuilds(t.Context(), []store.QueuedBuild{newer}, false))
		want := "b1 Superseded Superseded"
		if policy == v1alpha1.ConcurrencyAllow {
			want = "b1 Held Template"
		}
		require.Equal(t, []string{want, "b2 Pending "}, buildFates(t, s), policy)
	}
}

func TestABuildThatWaitedTooLongForItsTemplateEnds(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	queue(t, s, builder("shop", v1alpha1.ConcurrencyQueue), builtAt("b1", 1), "main")
	claimed := claimBuilds(t, s)[0]
	require.NoError(t, s.EndTemplateWait(t.Context(), claimed.ID, "too late"))
	require.Equal(t, []string{"b1 Submitting "}, buildFates(t, s), "it does not wait")
	hold(t, s, claimed)
	execute(t, s, "UPDATE task SET changed_at = now() - interval '1 hour'")
	tasks, err := s.BuildTasks(t.Context(), string(given.UID("b1")), "another")
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.InDelta(t, time.Hour.Seconds(), tasks[string(given.UID("b1"))].For.Seconds(), 60)
	require.NoError(t, s.EndTemplateWait(t.Context(), claimed.ID, "WorkflowTemplate deploy did not appear"))
	require.Equal(t, []string{"b1 Error TemplateNotFound"}, buildFates(t, s))
	require.Equal(t, 1, settleBuilds(t, s, v1alpha1.ConcurrencyQueue))
}

func TestBuildsThatHaveEndedAreListedUntilTheyAreSettled(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 3}
	s := openStore(t, config)
	for i := range 3 {
		queue(t, s, builder(fmt.Sprint("p", i), v1alpha1.ConcurrencyLatest), builtAt(fmt.Sprint("b", i), i), "main")
	}
	listed := func(s *store.Store, most int, but ...int64) (names []string, ids []int64) {
		ended, err := s.EndedBuilds(t.Context(), most, but)
		require.NoError(t, err)
		for _, build := range ended {
			names, ids = append(names, build.BuildName+" of "+build.Pipeline.Name+" "+build.Ref), append(ids, build.ID)
		}
		return names, ids
	}
	names, _ := listed(s, 10)
	require.Empty(t, names, "nothing has ended")
	claimBuilds(t, s)
	endActive(t, s, store.StatusSucceeded)
	names, ids := listed(s, 2)
	require.Equal(t, []string{"b0 of p0 main", "b1 of p1 main"}, names)
	names, _ = listed(s, 10, ids...)
	require.Equal(t, []string{"b2 of p2 main"}, names, "but for those that are passed over")
	require.NoError(t, s.SettleBuilds(t.Context(), ids))
	names, _ = listed(s, 10)
	require.Equal(t, []string{"b2 of p2 main"}, names)

	config.Namespaces = []string{"elsewhere"}
	other, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(other.Close)
	names, _ = listed(other, 10)
	require.Empty(t, names, "of the namespaces that are watched")
}

func TestTheTaskOfABuildIsKeptAsLongAsItsCiBuild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i, name := range []string{"b1", "b2"} {
		queue(t, s, builder(name, v1alpha1.ConcurrencyLatest), builtAt(name, i), "main")
	}
	drainBuilds(t, s, v1alpha1.ConcurrencyLatest, store.StatusSucceeded)
	gone(t, s, 2)
	require.Zero(t, prune(t, s), "all is young")
	age(t, s, 91)
	require.Positive(t, prune(t, s))
	require.Equal(t, []string{"b1 Succeeded "}, buildFates(t, s))
}

func TestTheWorkflowOfABuildIsKeptUntilItsOutputsAreRead(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	shop := builder("shop", v1alpha1.ConcurrencyLatest)
	queue(t, s, shop, builtAt("b1", 1), "main")
	claimed := claimBuilds(t, s)[0]
	observe(t, s, claimed, store.StatusSucceeded)
	workflows := []types.NamespacedName{{Namespace: claimed.Namespace, Name: claimed.WorkflowName}}
	open, err := s.Open(t.Context(), workflows)
	require.NoError(t, err)
	require.Equal(t, workflows, open)
	settleBuilds(t, s, shop.Policy)
	open, err = s.Open(t.Context(), workflows)
	require.NoError(t, err)
	require.Empty(t, open)
}
