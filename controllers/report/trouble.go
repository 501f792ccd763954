package report

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// tellTrouble has the condition of a build that is about to be planned say why it is not.
func (r *Reporter) tellTrouble(build types.NamespacedName, conditions []metav1.Condition) {
	if r.PlanTrouble == nil {
		return
	}
	trouble := r.PlanTrouble(build)
	for i := range conditions {
		condition := &conditions[i]
		if trouble != "" && condition.Type == v1alpha1.ConditionPlanned && condition.Reason == string(v1alpha1.ReasonPlanning) {
			condition.Reason, condition.Message = string(v1alpha1.ReasonPlanFailed), trouble
		}
	}
}

// overBudget says what to do where the filters below a build cost too much together.
func overBudget(summary *store.Summary) string {
	isOver := slices.ContainsFunc(summary.Decisions, func(decision store.DecisionCount) bool {
		return decision.Reason == v1alpha1.ReasonFilterBudgetExceeded
	})
	if !isOver {
		return ""
	}
	return fmt.Sprintf("; the filters below this build cost more than %d units together: simplify spec.filter of its pipelines, or split the build, then create RunRequests for those that are Blocked", trigger.BudgetLimit)
}
