package argo

import (
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestOnlyAFailedWorkflowWithATimeoutMayHaveTimedOut(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		phase, timeout string
		may            bool
	}{
		"it failed, and had a timeout":     {"Failed", "60", true},
		"it failed, and had none":          {"Failed", "", false},
		"it ended in error":                {"Error", "60", false},
		"it succeeded":                     {"Succeeded", "60", false},
		"it runs":                          {"Running", "60", false},
		"it has not been taken up by Argo": {"", "60", false},
	} {
		object := Workflow()
		object.Labels = map[string]string{"workflows.argoproj.io/phase": tc.phase}
		if tc.timeout != "" {
			object.Labels[v1alpha1.LabelTimeout] = tc.timeout
		}
		trimmed, err := Trim(object)
		require.NoError(t, err)
		require.Equal(t, tc.may, MayHaveTimedOut(trimmed.(*metav1.PartialObjectMetadata)), sentence)
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
