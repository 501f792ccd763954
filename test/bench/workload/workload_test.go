package workload_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/bench/workload"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAWorkloadHasAsManyTriggersAsAsked(t *testing.T) {
	t.Parallel()
	family := given.CdPipelines(10, "web")
	for _, triggers := range []int{1, 7, 10, 30} {
		load := workload.New("b1", "bench", family, triggers)
		require.Equal(t, triggers, load.Triggers())
		require.Len(t, load.List(), triggers)
		plan, err := load.Plan()
		require.NoError(t, err)
		require.Len(t, plan.Decisions, triggers)
		for _, decision := range plan.Decisions {
			require.Equal(t, v1alpha1.OutcomeTriggered, decision.Outcome)
		}
	}
}

func TestNoTwoTriggersWantTheSameWorkflow(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, trigger := range workload.New("b1", "bench", given.CdPipelines(10, "web"), 30).List() {
		workflow, err := trigger.Workflow()
		require.NoError(t, err)
		require.Equal(t, trigger.Claim.WorkflowName, workflow.Name)
		require.Equal(t, "bench", workflow.Namespace)
		names[workflow.Name] = true
	}
	require.Len(t, names, 30)
}
