package trigger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// costly is a filter that is true, and costs nearly as much as one filter may.
func costly() string {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 40), ",") + "]"
	return fmt.Sprintf("%[1]s.all(a, %[1]s.all(b, a == b))", list)
}

func TestTheFiltersOfOneBuildHaveABudgetTogether(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	decider.Budget = &trigger.Budget{}
	family := append(given.CdPipelines(3, "web", given.Filter(costly())), *given.CdPipeline("free"))
	decisions := decider.Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(2), family)
	require.Len(t, decisions, 8)
	spent := decider.Budget.Spent
	require.Positive(t, spent)

	decider.Budget = &trigger.Budget{Spent: trigger.BudgetLimit - spent/2}
	decisions = decider.Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(2), family)
	reasons := map[v1alpha1.Reason]int{}
	for _, decision := range decisions {
		reasons[decision.Reason]++
		if decision.Reason == v1alpha1.ReasonFilterBudgetExceeded {
			require.Equal(t, v1alpha1.OutcomeBlocked, decision.Outcome)
			require.Contains(t, decision.Message, "the filters below build b1 cost more than 20000000 units together: simplify spec.filter")
		}
	}
	require.Equal(t, 3, reasons[v1alpha1.ReasonFilterBudgetExceeded], "half of them are evaluated")
	require.Equal(t, 3+2, reasons[v1alpha1.ReasonTriggered], "what has no filter needs no budget")

	decider.Budget = nil
	again := decider.Build(given.Build("b2"), given.CiPipeline(given.CI), given.Artifacts(2), family)
	for _, decision := range again {
		require.NotEqual(t, v1alpha1.ReasonFilterBudgetExceeded, decision.Reason, "another build has its own")
	}
}

func TestDescendantsAreMetOnceBehindTheirRoots(t *testing.T) {
	t.Parallel()
	family := given.FamilyOf(
		given.CdPipeline("b"), given.CdPipeline("a"), given.CdPipeline("first", given.Priority(1)),
		given.CdPipeline("below-a", given.BelowCd("a")), given.CdPipeline("further", given.BelowCd("below-a")),
		given.CdPipeline("ring-1", given.BelowCd("ring-2")), given.CdPipeline("ring-2", given.BelowCd("ring-1")),
		given.CdPipeline("below-first", given.BelowCd("first")), given.CdPipeline("stranger", given.BelowCi("other")),
	)
	var met []string
	for _, descendant := range trigger.Descendants(given.CI, family) {
		root := ""
		if descendant.Root != nil {
			root = " below " + descendant.Root.Name
		}
		met = append(met, descendant.Pipeline.Name+root)
	}
	require.Equal(t, []string{"first", "a", "b", "below-first below first", "below-a below a", "further below a"}, met)
}
