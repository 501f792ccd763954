package trigger

import (
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// BudgetLimit bounds what the filters of one build may cost together, in CEL's cost units:
// 65,536 pairs of an artifact and a pipeline may take some 300 each, and comparing a few
// strings takes tens.
const BudgetLimit = 20_000_000

// Budget is what the filters of one build have cost. It is not safe for concurrent use.
type Budget struct{ Spent uint64 }

// isSpent tells whether no filter of the build is evaluated any more.
func (b *Budget) isSpent() bool { return b.Spent >= BudgetLimit }

// budgeted returns a decider with a budget: its own, or a new one.
func (d Decider) budgeted() Decider {
	if d.Budget == nil {
		d.Budget = &Budget{}
	}
	return d
}

// overBudget is the verdict on a pipeline whose filter is not evaluated.
func overBudget(build Build) verdict {
	return verdict{v1alpha1.OutcomeBlocked, v1alpha1.ReasonFilterBudgetExceeded, fmt.Sprintf(
		"the filters below build %s cost more than %d units together: simplify spec.filter of its pipelines, or split the build, then create a RunRequest",
		build.Name, BudgetLimit)}
}
