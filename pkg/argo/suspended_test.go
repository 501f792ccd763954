package argo_test

import (
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/pkg/argo"
)

func TestAWorkflowIsSuspendedWhereItWaitsForSomebody(t *testing.T) {
	t.Parallel()
	node := func(kind wfv1.NodeType, phase wfv1.NodePhase) wfv1.WorkflowStatus {
		return wfv1.WorkflowStatus{Nodes: wfv1.Nodes{"a": {Type: wfv1.NodeTypeSteps, Phase: wfv1.NodeRunning}, "b": {Type: kind, Phase: phase}}}
	}
	for sentence, tc := range map[string]struct {
		workflow  wfv1.Workflow
		suspended bool
	}{
		"one that nobody has taken up is not": {wfv1.Workflow{}, false},
		"one whose spec says so is":           {wfv1.Workflow{Spec: wfv1.WorkflowSpec{Suspend: ptr.To(true)}}, true},
		"one that was resumed is not":         {wfv1.Workflow{Spec: wfv1.WorkflowSpec{Suspend: ptr.To(false)}}, false},
		"one that waits for an approval is":   {wfv1.Workflow{Status: node(wfv1.NodeTypeSuspend, wfv1.NodeRunning)}, true},
		"one that was approved is not":        {wfv1.Workflow{Status: node(wfv1.NodeTypeSuspend, wfv1.NodeSucceeded)}, false},
		"one that runs a pod is not":          {wfv1.Workflow{Status: node(wfv1.NodeTypePod, wfv1.NodeRunning)}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.suspended, argo.IsSuspended(&tc.workflow))
		})
	}
}
