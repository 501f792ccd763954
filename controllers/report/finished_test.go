package report

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

var boom = []store.Failure{{
	Pipeline: "web", Stage: trigger.StageDeploy, Status: store.StatusFailed, Reason: v1alpha1.ReasonWorkflowFailed, Message: "exit code 1",
}}

func TestWhetherTheRunsOfABuildHaveEnded(t *testing.T) {
	t.Parallel()
	const why = "; web DEPLOY ended as Failed (WorkflowFailed: exit code 1)"
	const advice = "; to run the stage again, create a RunRequest with action Retry"
	for sentence, tc := range map[string]struct {
		phase    v1alpha1.BuildPhase
		triggers v1alpha1.TriggerSummary
		failures []store.Failure
		want     string
	}{
		"all wait":              {v1alpha1.BuildSucceeded, v1alpha1.TriggerSummary{Total: 2, Waiting: 2}, nil, "False Waiting: of 2 runs: 2 waiting"},
		"one is under way":      {v1alpha1.BuildSucceeded, v1alpha1.TriggerSummary{Total: 2, Waiting: 1, Active: 1}, nil, "False Running: of 2 runs: 1 waiting, 1 running"},
		"one has failed":        {v1alpha1.BuildSucceeded, v1alpha1.TriggerSummary{Total: 3, Active: 1, Failed: 1, Succeeded: 1}, boom, "False RunsFailed: of 3 runs: 1 failed, 1 running, 1 succeeded" + why + advice},
		"all have succeeded":    {v1alpha1.BuildSucceeded, v1alpha1.TriggerSummary{Total: 1, Succeeded: 1}, nil, "True Done: of 1 run: 1 succeeded"},
		"some have failed":      {v1alpha1.BuildSucceeded, v1alpha1.TriggerSummary{Total: 5, Failed: 3, Succeeded: 2}, boom, "True RunsFailed: of 5 runs: 3 failed, 2 succeeded" + why + "; and 2 more" + advice},
		"a newer build goes on": {v1alpha1.BuildSucceeded, v1alpha1.TriggerSummary{Total: 3, Superseded: 2, Cancelled: 1}, nil, "True Done: of 3 runs: 1 cancelled, 2 superseded"},
		"there are none":        {v1alpha1.BuildSucceeded, v1alpha1.TriggerSummary{}, nil, "True NothingToTrigger: no pipeline is to be triggered"},
		"the build has failed":  {v1alpha1.BuildFailed, v1alpha1.TriggerSummary{}, nil, "True NothingToTrigger: a build that ended as Failed triggers nothing"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			status := buildStatus(ended(tc.phase), &store.Summary{Triggers: tc.triggers, Failures: tc.failures}, true, open)
			require.Equal(t, tc.want, line(status.Conditions, v1alpha1.ConditionFinished))
		})
	}
}

func TestRunsThatFailAreAWarningEachTimeThereAreMore(t *testing.T) {
	t.Parallel()
	status := func(triggers v1alpha1.TriggerSummary, failures []store.Failure) v1alpha1.CiBuildStatus {
		return buildStatus(ended(v1alpha1.BuildSucceeded), &store.Summary{Triggers: triggers, Failures: failures}, true, open)
	}
	waiting := status(v1alpha1.TriggerSummary{Total: 2, Waiting: 2}, nil)
	one := status(v1alpha1.TriggerSummary{Total: 2, Waiting: 1, Failed: 1}, boom)
	others := status(v1alpha1.TriggerSummary{Total: 2, Active: 1, Failed: 1}, boom)
	both := status(v1alpha1.TriggerSummary{Total: 2, Failed: 2}, nil)
	done := status(v1alpha1.TriggerSummary{Total: 2, Succeeded: 2}, nil)
	for sentence, tc := range map[string]struct {
		before, after v1alpha1.CiBuildStatus
		want          []news
	}{
		"one that fails is told": {waiting, one, []news{{
			corev1.EventTypeWarning, "RunsFailed", "Deploy", "of 2 runs: 1 failed, 1 waiting; web DEPLOY ended as Failed (WorkflowFailed: exit code 1)" +
				"; to run the stage again, create a RunRequest with action Retry",
		}}},
		"what becomes of others is not": {one, others, nil},
		"one more is":                   {others, both, []news{{corev1.EventTypeWarning, "RunsFailed", "Deploy", "of 2 runs: 2 failed"}}},
		"that all is well is no news":   {waiting, done, nil},
		"nothing is told twice":         {both, both, nil},
	} {
		require.Equal(t, tc.want, finishedNews(tc.before, tc.after), sentence)
	}
}

func TestABuildThatTakesLongToBePlannedSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI))
		d.Builds(named("b1"))
		for range 2 {
			require.True(t, d.reports(t))
			require.Zero(t, d.patches.value(), "mostly it is planned at once, and a write is saved")
			time.Sleep(planningPatience / 2)
		}
		require.True(t, d.reports(t))
		require.Equal(t, 1, d.patches.value())
		require.Equal(t, "False Planning: what to trigger is being decided", line(d.build(t).Status.Conditions, v1alpha1.ConditionPlanned))
		require.Equal(t, "True BuildSucceeded: the build ended as Succeeded", line(d.build(t).Status.Conditions, v1alpha1.ConditionComplete))
		require.Zero(t, d.told())
		require.Empty(t, d.builds.take(9), "it is looked at again when it is planned")
	})
}

func TestABuildThatIsNeverSeenAgainIsForgotten(t *testing.T) {
	t.Parallel()
	p, now := planning{}, time.Unix(0, 0)
	require.False(t, p.overdue(named("gone"), now))
	require.False(t, p.overdue(named("b1"), now.Add(2*planningForgotten)))
	require.Len(t, p, 1)
}
