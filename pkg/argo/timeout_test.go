package argo

import (
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAFailedWorkflowIsExplainedInArgosOwnWords(t *testing.T) {
	t.Parallel()
	workflow := Workflow()
	workflow.Namespace, workflow.Name = "default", "web"
	workflow.Labels = map[string]string{"workflows.argoproj.io/phase": "Failed"}
	seen := Observe(workflow, false)
	require.Equal(t, seen.Message, Explain(seen, ""))
	require.Equal(t, "Workflow web ended as Failed: Stopped with strategy 'Terminate': kubectl -n default describe workflow web tells more",
		Explain(seen, "Stopped with strategy 'Terminate'"))
	require.Contains(t, Explain(seen, "invalid:\n | asInt('no')\n | ^"), ": invalid: | asInt('no') | ^: kubectl", "kubectl prints events line by line")
	require.Less(t, len(Explain(seen, strings.Repeat("x", 10_000))), 700)
}

func TestARetryNamesWhoDidItWhereArgoKnows(t *testing.T) {
	t.Parallel()
	const actor = "workflows.argoproj.io/actor"
	for sentence, tc := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"nobody is known": {nil, "Workflow web was retried in Argo"},
		"the user's own name goes first": {
			map[string]string{"workflows.argoproj.io/action": "Retry", actor: "1234", actor + "-preferred-username": "ada"}, "Workflow web was retried in Argo by ada",
		},
		"then the mail address":      {map[string]string{"workflows.argoproj.io/action": "Retry", actor: "1234", actor + "-email": "a.at.b"}, "Workflow web was retried in Argo by a.at.b"},
		"then the id":                {map[string]string{"workflows.argoproj.io/action": "Retry", actor: "1234"}, "Workflow web was retried in Argo by 1234"},
		"who has stopped it has not": {map[string]string{"workflows.argoproj.io/action": "Stop", actor: "1234"}, "Workflow web was retried in Argo"},
	} {
		workflow := Workflow()
		workflow.Name, workflow.Labels = "web", tc.labels
		require.Equal(t, tc.want, Retried(workflow), sentence)
	}
}

func TestAWorkflowTimedOutWhereItRanForAsLongAsItMay(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		phase    wfv1.WorkflowPhase
		deadline *int64
		ran      time.Duration
		timedOut bool
	}{
		"it failed at its deadline":       {wfv1.WorkflowFailed, new(int64(60)), time.Minute, true},
		"it failed after its deadline":    {wfv1.WorkflowFailed, new(int64(60)), time.Hour, true},
		"it failed before":                {wfv1.WorkflowFailed, new(int64(60)), 59 * time.Second, false},
		"it has no deadline":              {wfv1.WorkflowFailed, nil, time.Hour, false},
		"it succeeded at the last moment": {wfv1.WorkflowSucceeded, new(int64(60)), time.Minute, false},
	} {
		workflow := &wfv1.Workflow{}
		workflow.Spec.ActiveDeadlineSeconds = tc.deadline
		workflow.Status.Phase = tc.phase
		workflow.Status.StartedAt = metav1.NewTime(time.Unix(1000, 0))
		workflow.Status.FinishedAt = metav1.NewTime(time.Unix(1000, 0).Add(tc.ran))
		require.Equal(t, tc.timedOut, HasTimedOut(workflow), sentence)
	}
}

func TestAStagesTimeoutIsRoundedUpOnItsWorkflow(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", given.WithTimeout(1500*time.Millisecond))
	workflow := stageWorkflow(claimOf(pipeline), pipeline, &pipeline.Spec.Deploy)
	require.Equal(t, int64(2), *workflow.Spec.ActiveDeadlineSeconds)
	require.Equal(t, "2", workflow.Labels[v1alpha1.LabelTimeout])
}
