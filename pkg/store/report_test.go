package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func summaryOf(t *testing.T, s *store.Store, build string) *store.Summary {
	t.Helper()
	uid := given.Build(build).UID
	summaries, err := s.Summaries(t.Context(), []string{uid, "never planned"})
	require.NoError(t, err)
	require.Len(t, summaries, 1)
	return summaries[uid]
}

func move(t *testing.T, s *store.Store, claim store.Claim, to store.Status, message string) {
	t.Helper()
	observation := seen(claim, to)
	observation.Reason, observation.Message = v1alpha1.ReasonWorkflowFailed, message
	moved, err := s.Observe(t.Context(), []store.Observation{observation})
	require.NoError(t, err)
	require.Len(t, moved, 1)
}

func TestASummaryCountsEveryRunOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := append(given.CdPipelines(6, "web", given.WithPost),
		*given.CdPipeline("off", given.Suspended), *given.CdPipeline("broken", given.Filter("((")),
		*given.CdPipeline("below", given.BelowCd("web-000")), *given.CdPipeline("below-off", given.BelowCd("off")))
	planned(t, s, "b1", family)
	claims := claim(t, s, "w", 6)
	_, err := s.Complete(t.Context(), "w", []store.Completion{
		{ID: claims[0].ID, Attempt: 1, Status: store.StatusPending, Delay: lease},
		{ID: claims[1].ID, Attempt: 1, Status: store.StatusSubmitted},
		{ID: claims[5].ID, Attempt: 1, Status: store.StatusError, Reason: v1alpha1.ReasonNameConflict, Message: "not ours"},
	})
	require.NoError(t, err)
	move(t, s, claims[2], store.StatusRunning, "")
	move(t, s, claims[3], store.StatusSucceeded, "")
	move(t, s, claims[4], store.StatusFailed, "boom")
	followAll(t, s, family)

	summary := summaryOf(t, s, "b1")
	require.Equal(t, v1alpha1.TriggerSummary{
		Total: 6, Pending: 1, Submitted: 1, Running: 2, Succeeded: 0, Failed: 2, Waiting: 1, Active: 3, Skipped: 3, Progress: "4/6",
	}, summary.Triggers, "the one between its stages counts as running; the one that never had a Workflow as failed")
	require.Equal(t, []store.Failure{
		{Pipeline: "web-004", Stage: trigger.StageDeploy, Status: store.StatusFailed, Reason: v1alpha1.ReasonWorkflowFailed, Message: "boom"},
		{Pipeline: "web-005", Stage: trigger.StageDeploy, Status: store.StatusError, Reason: v1alpha1.ReasonNameConflict, Message: "not ours"},
	}, summary.Failures)
	require.Equal(t, []store.DecisionCount{
		{Outcome: v1alpha1.OutcomeWaiting, Reason: v1alpha1.ReasonParentRunning, Count: 1, Examples: []string{"below"}},
		{Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Count: 6, Examples: []string{"web-000", "web-001", "web-002", "web-003", "web-004"}},
		{Outcome: v1alpha1.OutcomeSkipped, Reason: v1alpha1.ReasonParentNotTriggered, Count: 1, Examples: []string{"below-off"}},
		{Outcome: v1alpha1.OutcomeSkipped, Reason: v1alpha1.ReasonSuspended, Count: 1, Examples: []string{"off"}},
		{Outcome: v1alpha1.OutcomeBlocked, Reason: v1alpha1.ReasonInvalidFilter, Count: 1, Examples: []string{"broken"}},
	}, summary.Decisions)
}

// Wherever the tasks are, each run is in exactly one of the counts.
func TestTheCountsOfASummaryAddUp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, state := range states {
		inState(t, s, string(state), 2, state)
		triggers := summaryOf(t, s, string(state)).Triggers
		require.EqualValues(t, 2, triggers.Total, state)
		require.Equal(t, triggers.Total, triggers.Pending+triggers.Held+triggers.Submitted+triggers.Running+
			triggers.Succeeded+triggers.Failed+triggers.Cancelled+triggers.Superseded, state)
		require.Equal(t, triggers.Pending+triggers.Held, triggers.Waiting, state)
		require.Equal(t, triggers.Submitted+triggers.Running, triggers.Active, state)
		execute(t, s, "UPDATE task SET status = 'Superseded' WHERE status = 'Pending'")
	}
}

func TestARunThatSucceededIsCountedWhenItsLastStageIsFollowed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(2, "web")
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	require.EqualValues(t, 2, summaryOf(t, s, "b1").Triggers.Running)
	followAll(t, s, family)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 2, Succeeded: 2, Progress: "2/2"}, summaryOf(t, s, "b1").Triggers)
}

// runAgain triggers a build once more in a pipeline, as a person's RunRequest does.
func runAgain(t *testing.T, s *store.Store, build, pipeline string, family given.Family) {
	t.Helper()
	found, err := s.FindBuild(t.Context(), given.Namespace, build)
	require.NoError(t, err)
	answer, err := s.StartRuns(t.Context(), store.Request{
		Namespace: given.Namespace, Name: "again", SpecHash: "hash", Action: v1alpha1.ActionTrigger, Actor: "somebody", BuildName: build,
		Pipeline: store.PipelineRef{UID: string(given.UID(pipeline)), Namespace: given.Namespace, Name: pipeline},
	}, store.Starting{
		Build: found.Build, Place: found.Place, Decisions: decider(t).Requested(found.Build, found.Artifacts, family.CdPipeline(pipeline), family), AllowOlder: true,
	})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase, answer.Message)
}

func TestARunThatWasRunAgainCountsOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(2, "web")
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusFailed)
	followAll(t, s, family)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 2, Failed: 2, Progress: "2/2"}, summaryOf(t, s, "b1").Triggers)

	runAgain(t, s, "b1", "web-000", family)
	summary := summaryOf(t, s, "b1")
	require.Equal(t, v1alpha1.TriggerSummary{Total: 2, Pending: 1, Waiting: 1, Failed: 1, Progress: "1/2"}, summary.Triggers)
	require.Len(t, summary.Failures, 1)
	require.Equal(t, "web-001", summary.Failures[0].Pipeline)
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 2, Succeeded: 1, Failed: 1, Progress: "2/2"}, summaryOf(t, s, "b1").Triggers)
}

// Its Workflow is retried in Argo after a person had the build run again.
func TestAnEarlierRunCountsWhileItGoesOn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(1, "web", unordered)
	planned(t, s, "b1", family)
	first := endAll(t, s, store.StatusFailed)[0]
	followAll(t, s, family)
	runAgain(t, s, "b1", "web-000", family)
	retried(t, s, first)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 2, Pending: 1, Waiting: 1, Running: 1, Active: 1, Progress: "1/2"}, summaryOf(t, s, "b1").Triggers)
	endsAs(t, s, first, store.StatusFailed, family)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 1, Pending: 1, Waiting: 1, Progress: "0/1"}, summaryOf(t, s, "b1").Triggers)
}

func TestABuildWithoutChildrenHasAnEmptySummary(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", nil)
	require.Equal(t, &store.Summary{BuildUID: given.Build("b1").UID, Triggers: v1alpha1.TriggerSummary{Progress: "0/0"}}, summaryOf(t, s, "b1"))
}

func TestASummaryNamesTheFirstFailuresAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(15, "web"))
	endAll(t, s, store.StatusFailed)
	failures := summaryOf(t, s, "b1").Failures
	require.Len(t, failures, 10)
	require.Equal(t, "web-000", failures[0].Pipeline)
}

func TestTheLastRunIsTheNewestStageOfTheNewestRun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre, unordered), given.CdPipeline("never", given.Suspended))
	uid := string(given.UID("web"))
	last := func() store.LastRun {
		runs, err := s.LastRuns(t.Context(), []string{uid, string(given.UID("never")), "unknown"})
		require.NoError(t, err)
		require.Len(t, runs, 1)
		return runs[uid]
	}
	planned(t, s, "b1", family)
	require.Equal(t, "b1 PRE Pending false", describe(last()))
	endAll(t, s, store.StatusSucceeded)
	require.Equal(t, "b1 PRE Succeeded true", describe(last()))
	followAll(t, s, family)
	require.Equal(t, "b1 DEPLOY Pending false", describe(last()))
	planned(t, s, "b2", family)
	require.Equal(t, "b2 PRE Pending false", describe(last()))

	row := last()
	require.Equal(t, given.Artifact(0), v1alpha1.Artifact{Image: row.Image, Digest: row.Digest})
	require.Regexp(t, "^web-pre-", row.WorkflowName)
	require.WithinDuration(t, time.Now(), row.At, 10*time.Minute)
}

func describe(run store.LastRun) string {
	return fmt.Sprint(run.BuildName, " ", run.Stage, " ", run.Status, " ", run.HasWorkflow)
}

func TestTheLastDecisionIsThatOfTheLastBuildAndOfTheArtifactThatRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	artifacts := given.Artifacts(256) // the most that a CiBuild may have
	pipeline := given.CdPipeline("web", given.Filter(fmt.Sprintf("artifact.image == %q", artifacts[0].Image)))
	last := func() string {
		decisions, err := s.LastDecisions(t.Context(), []string{string(pipeline.UID)})
		require.NoError(t, err)
		decision := decisions[string(pipeline.UID)]
		return fmt.Sprint(decision.BuildName, " ", decision.Reason)
	}
	for _, build := range []string{"b1", "b2"} {
		_, err := s.Plan(t.Context(), planOf(t, given.Build(build), artifacts, given.FamilyOf(pipeline)))
		require.NoError(t, err)
		require.Equal(t, build+" Triggered", last(), "it is filtered out for all other artifacts")
	}
	// What the end of a parent settles anew is of an older build all the same.
	execute(t, s, `UPDATE trigger_decision SET decided_at = now() + interval '1 h' WHERE build_name = 'b1'`)
	require.Equal(t, "b2 Triggered", last())
}

func TestTheLastDecisionIsTheOneMadeLast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	pipeline := given.CdPipeline("web")
	uid := string(pipeline.UID)
	last := func() string {
		decisions, err := s.LastDecisions(t.Context(), []string{uid, "unknown"})
		require.NoError(t, err)
		require.Len(t, decisions, 1)
		decision := decisions[uid]
		require.WithinDuration(t, time.Now(), decision.At, 10*time.Minute)
		return fmt.Sprint(decision.BuildName, " ", decision.Outcome, " ", decision.Reason, " ", decision.Message)
	}
	planned(t, s, "b1", given.FamilyOf(pipeline))
	require.Equal(t, "b1 Triggered Triggered by build b1", last())
	given.Suspended(pipeline)
	planned(t, s, "b2", given.FamilyOf(pipeline))
	require.Equal(t, "b2 Skipped Suspended spec.suspend is true", last())
}

func TestQuietRowsArePagedById(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(9, "web"))
	claims := claim(t, s, "w", 8)
	execute(t, s, "UPDATE task SET status = 'Submitted', changed_at = now() - interval '1 h' WHERE id <= $1", claims[5].ID)
	execute(t, s, "UPDATE task SET status = 'Running' WHERE id = $1", claims[1].ID)
	execute(t, s, "UPDATE task SET changed_at = now() WHERE id = $1", claims[0].ID)
	execute(t, s, "UPDATE task SET status = 'Succeeded' WHERE id = $1", claims[2].ID)
	quiet := func(after int64, most int) []int64 {
		rows, err := s.StaleActive(t.Context(), 30*time.Minute, after, most)
		require.NoError(t, err)
		var ids []int64
		for _, row := range rows {
			require.Equal(t, given.Namespace, row.Namespace)
			require.NotEmpty(t, row.WorkflowName)
			require.Regexp(t, "-"+row.Identity[:16]+"$", row.WorkflowName)
			ids = append(ids, row.ID)
		}
		return ids
	}
	require.Equal(t, []int64{claims[1].ID, claims[3].ID, claims[4].ID, claims[5].ID}, quiet(0, 10))
	require.Equal(t, []int64{claims[1].ID, claims[3].ID}, quiet(0, 2))
	require.Equal(t, []int64{claims[4].ID, claims[5].ID}, quiet(claims[3].ID, 2))
}

func TestAPipelineThatRunsForOneArtifactIsNotCountedAsSkippedForAnother(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	artifacts := given.Artifacts(2)
	family := given.FamilyOf(
		given.CdPipeline("one", given.Filter(fmt.Sprintf("artifact.image == %q", artifacts[0].Image))),
		given.CdPipeline("none", given.Filter("false")))
	_, err := s.Plan(t.Context(), planOf(t, given.Build("b1"), artifacts, family))
	require.NoError(t, err)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 1, Pending: 1, Waiting: 1, Skipped: 1, Progress: "0/1"}, summaryOf(t, s, "b1").Triggers)
}

func TestWaitingBuildsAreThoseOfTheQueue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web", unordered))
	claim(t, s, "w", 3)
	planned(t, s, "b2", given.CdPipelines(3, "web", unordered))
	waiting, err := s.WaitingBuilds(t.Context())
	require.NoError(t, err)
	require.Equal(t, []types.NamespacedName{{Namespace: given.Namespace, Name: "b2"}}, waiting)
}

func TestAPipelineIsCountedOnceHoweverManyArtifacts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	artifacts := given.Artifacts(3)
	family := given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("off", given.Suspended),
		given.CdPipeline("one", given.Filter(fmt.Sprintf("artifact.image == %q", artifacts[1].Image))))
	_, err := s.Plan(t.Context(), planOf(t, given.Build("b1"), artifacts, family))
	require.NoError(t, err)
	require.Equal(t, []store.DecisionCount{
		{Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Count: 2, Examples: []string{"one", "web"}},
		{Outcome: v1alpha1.OutcomeSkipped, Reason: v1alpha1.ReasonSuspended, Count: 1, Examples: []string{"off"}},
	}, summaryOf(t, s, "b1").Decisions)
	require.EqualValues(t, 1, summaryOf(t, s, "b1").Triggers.Skipped, "the message and the count agree")
}

// A Manual stage is held, whatever came before it, and cancelled with its pipeline.
func TestAManualStageIsNotCountedAsRunning(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre, given.ManualStage(trigger.StageDeploy)))
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 1, Held: 1, Waiting: 1, Progress: "1/1"}, summaryOf(t, s, "b1").Triggers)
	_, err := s.CancelWaiting(t.Context(), string(given.UID("web")), v1alpha1.ReasonPipelineDeleted, "gone")
	require.NoError(t, err)
	followAll(t, s, family)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 1, Cancelled: 1, Progress: "1/1"}, summaryOf(t, s, "b1").Triggers)
}

func TestWhatANewerBuildOvertookHasNotFailed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.Concurrency(v1alpha1.ConcurrencyLatest)))
	for i, build := range []string{"b1", "b2", "b3"} {
		plannedBuild(t, s, builtAt(build, i), given.Artifacts(1), family)
	}
	followAll(t, s, family)
	require.Equal(t, v1alpha1.TriggerSummary{Total: 1, Superseded: 1, Progress: "0/1"}, summaryOf(t, s, "b2").Triggers)
}

func TestAStageThatIsTriedAgainTellsHowTheAttemptBeforeEnded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithRetries(1, time.Minute)))
	planned(t, s, "b1", family)
	require.Empty(t, summaryOf(t, s, "b1").Held)
	task := claim(t, s, "w", 1)[0]
	failed := seen(task, store.StatusFailed)
	failed.Reason, failed.Message = v1alpha1.ReasonWorkflowFailed, "Workflow web-1 ended as Failed"
	_, err := observeUnlocked(t, s, []store.Observation{failed})
	require.NoError(t, err)
	followAll(t, s, family)
	run := lastRunOf(t, s, "web")
	require.Equal(t, "b1 DEPLOY Pending false", describe(run))
	require.EqualValues(t, 2, run.StageAttempt)
	require.Equal(t, "Workflow web-1 ended as Failed", run.AttemptBefore)
	require.WithinDuration(t, time.Now().Add(time.Minute), run.Next, 30*time.Second)
	held := summaryOf(t, s, "b1").Held
	require.Len(t, held, 1)
	require.WithinDuration(t, run.Next, held[0].Next, 0)
	held[0].Next = time.Time{}
	require.Equal(t, []store.HeldCount{{Reason: v1alpha1.ReasonRetry, Count: 1, Examples: []string{"web"}}}, held)
}

func TestARunThatWaitsItsTurnTellsWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	for _, build := range []string{"b1", "b2", "b3"} {
		planned(t, s, build, family)
	}
	require.Equal(t, "b1", lastRunOf(t, s, "web").TurnOf)
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, "b2", lastRunOf(t, s, "web").TurnOf)
	endActive(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Empty(t, lastRunOf(t, s, "web").TurnOf)
}

func lastRunOf(t *testing.T, s *store.Store, pipeline string) store.LastRun {
	t.Helper()
	runs, err := s.LastRuns(t.Context(), []string{string(given.UID(pipeline))})
	require.NoError(t, err)
	return runs[string(given.UID(pipeline))]
}
