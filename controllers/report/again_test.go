package report

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAPipelineTellsWhenItsRunGoesOnAndWhatToDo(t *testing.T) {
	t.Parallel()
	const tried = "attempt 2 of 4 begins at 2026-01-02T12:00:00Z; attempt 1: Workflow web-deploy-1 ended as Failed"
	const advice = "; to run the stage again, create a RunRequest with action Retry"
	retries := func(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Retries = &v1alpha1.Retries{Max: 3} }
	failed := func(reason v1alpha1.Reason, attempt int32) store.LastRun {
		return store.LastRun{Status: store.StatusFailed, Reason: reason, Message: "why", StageAttempt: attempt, HasWorkflow: true}
	}
	for sentence, tc := range map[string]struct {
		with func(*v1alpha1.CdPipeline)
		run  store.LastRun
		// triggered is the condition Triggered, message that of the last run.
		triggered, message string
	}{
		"a stage that is tried again says which attempt comes when, and how the one before ended": {
			retries, store.LastRun{Status: store.StatusPending, StageAttempt: 2, Next: noon, AttemptBefore: "Workflow web-deploy-1 ended as Failed"},
			"False Retry: build b1: stage DEPLOY of run 7 is tried again: " + tried, "Retry: " + tried,
		},
		"one without retries now says at least which attempt comes": {
			nil, store.LastRun{Status: store.StatusPending, StageAttempt: 2},
			"False Retry: build b1: stage DEPLOY of run 7 is tried again: attempt 2", "Retry: attempt 2",
		},
		"a failure is not to be mended while attempts are left": {
			retries, failed(v1alpha1.ReasonWorkflowFailed, 2), "True Triggered: triggered by build b1", "WorkflowFailed: why",
		},
		"the last failure says how often it was tried, and what to do": {
			retries, failed(v1alpha1.ReasonWorkflowFailed, 4), "True Triggered: triggered by build b1", "WorkflowFailed: attempt 4 of 4: why" + advice,
		},
		"a Workflow that was deleted leaves something to do": {
			nil, failed(v1alpha1.ReasonWorkflowDeleted, 1), "True Triggered: triggered by build b1", "WorkflowDeleted: why" + advice,
		},
		"a message that says what to do stays": {
			nil, failed(v1alpha1.ReasonNameConflict, 1), "True Triggered: triggered by build b1", "NameConflict: why",
		},
		"a run that waits its turn names the build that goes first": {
			nil, store.LastRun{Status: store.StatusHeld, Reason: v1alpha1.ReasonTurn, Message: trigger.TurnHold.Message, TurnOf: "b0"},
			"False Turn: build b1: stage DEPLOY of run 7 waits: build b0 has its turn in this pipeline: this one goes on by itself when that has ended",
			"Turn: build b0 has its turn in this pipeline: this one goes on by itself when that has ended",
		},
		"a run that waits for its template says until when": {
			nil, store.LastRun{Status: store.StatusHeld, Reason: v1alpha1.ReasonTemplate, Message: "create it", At: noon},
			"False Template: build b1: stage DEPLOY of run 7 waits: create it; the stage ends as Error at 2026-01-02T12:10:00Z if it is still missing (TEMPLATE_WAIT)",
			"Template: create it; the stage ends as Error at 2026-01-02T12:10:00Z if it is still missing (TEMPLATE_WAIT)",
		},
		"a run that was cancelled says so once": {
			nil, store.LastRun{Status: store.StatusCancelled, Reason: v1alpha1.ReasonCancelled, Message: "cancelled by RunRequest r"},
			"True Triggered: triggered by build b1", "cancelled by RunRequest r",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := web()
			pipeline.UID = given.UID("web")
			if tc.with != nil {
				tc.with(pipeline)
			}
			d := newDesk(t, given.CiPipeline(given.CI), pipeline)
			d.TemplateWait = 10 * time.Minute
			tc.run.Run, tc.run.BuildName, tc.run.Stage = 7, "b1", trigger.StageDeploy
			d.rows.run = tc.run
			d.rows.decision = &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Message: "by build b1"}
			d.Pipelines(named("web"))
			require.True(t, d.reports(t))
			status := d.pipeline(t).Status
			require.Equal(t, tc.triggered, line(status.Conditions, v1alpha1.ConditionTriggered))
			require.Equal(t, tc.message, status.LastRun.Message)
		})
	}
}

func TestThatAStageIsTriedAgainIsAWarningEachTime(t *testing.T) {
	t.Parallel()
	retried := func(message string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionTriggered, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonRetry), Message: message}}
	}
	require.Equal(t, []news{{corev1.EventTypeWarning, "Retry", "Decide", "attempt 2"}}, waitingNews(nil, retried("attempt 2")))
	require.Equal(t, []news{{corev1.EventTypeWarning, "Retry", "Decide", "attempt 3"}}, waitingNews(retried("attempt 2"), retried("attempt 3")))
	require.Empty(t, waitingNews(retried("attempt 3"), retried("attempt 3")))
}

func TestABuildTellsWhichRunsAreTriedAgain(t *testing.T) {
	t.Parallel()
	status := buildStatus(ended(v1alpha1.BuildSucceeded), &store.Summary{
		Triggers: v1alpha1.TriggerSummary{Total: 3, Running: 3, Active: 3}, Triggered: 3,
		Held: []store.HeldCount{{Reason: v1alpha1.ReasonRetry, Count: 2, Examples: []string{"api", "web"}, Next: noon}},
	}, true, open)
	require.Equal(t, "True AllTriggered: 3 of 3 runs have a Workflow", line(status.Conditions, v1alpha1.ConditionTriggered))
	require.Equal(t, "False Running: of 3 runs: 3 running; 2 runs are tried again after a failure (api, web), next at 2026-01-02T12:00:00Z",
		line(status.Conditions, v1alpha1.ConditionFinished))
}
