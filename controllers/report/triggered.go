package report

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
)

// triggeredCondition says whether every run has, or had, a Workflow.
func triggeredCondition(build *v1alpha1.CiBuild, summary *store.Summary, gate Gate) metav1.Condition {
	triggers := summary.Triggers
	condition := metav1.Condition{Type: v1alpha1.ConditionTriggered, Status: metav1.ConditionTrue, Reason: string(v1alpha1.ReasonAllTriggered)}
	switch {
	case build.Status.Phase != v1alpha1.BuildSucceeded:
		condition.Status, condition.Reason = metav1.ConditionFalse, "Build"+string(build.Status.Phase)
		condition.Message = fmt.Sprintf("a build that ended as %s triggers nothing", build.Status.Phase)
	case triggers.Total == 0:
		condition.Reason, condition.Message = string(v1alpha1.ReasonNothingToDo), "no pipeline is to be triggered"
	case triggers.Pending == 0 && triggers.Held > 0 && summary.Triggered < triggers.Total:
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonRunsHeld)
		condition.Message = fmt.Sprintf("%d of %d runs have a Workflow", summary.Triggered, triggers.Total)
	case triggers.Pending > 0:
		reason, what := waitsFor(gate)
		if reason == v1alpha1.ReasonTriggersPending && len(summary.Delayed) > 0 {
			reason = summary.Delayed[0].Reason
		}
		condition.Status, condition.Reason = metav1.ConditionFalse, string(reason)
		condition.Message = fmt.Sprintf("%d of %d runs wait for %s", triggers.Pending, triggers.Total, what)
	case summary.Triggered == triggers.Total && isNotTakenUp(summary):
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonNotTakenUp)
		condition.Message = fmt.Sprintf("%d of %d runs have a Workflow", summary.Triggered, triggers.Total)
	default:
		condition.Message = fmt.Sprintf("%d of %d runs have a Workflow", summary.Triggered, triggers.Total)
		if summary.Triggered < triggers.Total {
			condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonNotAllTriggered)
			condition.Message += ", the others " + untriggered(triggers)
		}
	}
	condition.Message += describeDelayed(summary) + describeHeld(summary)
	return condition
}

// untriggered says why runs will never have a Workflow.
func untriggered(triggers v1alpha1.TriggerSummary) string {
	switch ended := triggers.Superseded + triggers.Cancelled; {
	case triggers.Failed == 0:
		return "were superseded or cancelled"
	case ended == 0:
		return "failed before they had one"
	default:
		return "failed before they had one, or were superseded or cancelled"
	}
}

// isNotTakenUp tells whether a run has a Workflow that no Argo controller takes up.
func isNotTakenUp(summary *store.Summary) bool {
	return slices.ContainsFunc(summary.Held, func(held store.HeldCount) bool { return held.Reason == v1alpha1.ReasonNotTakenUp })
}

// describeHeld says what runs wait for beside a slot.
func describeHeld(summary *store.Summary) string {
	var text strings.Builder
	for _, held := range summary.Held {
		if held.Reason == v1alpha1.ReasonRetry {
			continue // it has, or had, a Workflow
		}
		fmt.Fprintf(&text, "; %s for %s (%s)", counted(held.Count), explain.WaitsFor(held.Reason), names(held.Examples, held.Count))
	}
	return text.String()
}

func counted(runs int64) string {
	if runs == 1 {
		return "1 run waits"
	}
	return fmt.Sprintf("%d runs wait", runs)
}

// waitsFor is what a task waits for that nobody has claimed.
func waitsFor(gate Gate) (v1alpha1.Reason, string) {
	closed, active, most := gate()
	if !closed {
		return v1alpha1.ReasonTriggersPending, explain.WaitsFor(v1alpha1.ReasonTriggersPending) + ", or to be tried again"
	}
	return v1alpha1.ReasonBacklogFull, explain.Gate(active, most, nil)
}

// names lists a few names, and that there are more.
func names(examples []string, of int64) string {
	list := strings.Join(examples, ", ")
	if int(of) > len(examples) {
		list += ", …"
	}
	return list
}

func describeFailures(summary *store.Summary) string {
	var text strings.Builder
	for _, failure := range summary.Failures {
		why := explain.End(string(failure.Status), failure.Reason, failure.Message)
		fmt.Fprintf(&text, "; %s %s ended as %s (%s)", failure.Pipeline, failure.Stage, failure.Status, clip.Text(why, max(explain.MaxWhy, maxWhys/len(summary.Failures))))
	}
	text.WriteString(more(len(summary.Failures), summary.Triggers))
	return text.String()
}

// maxWhys bounds, in bytes, what failures may have of a condition's message together, where there
// are so few that each has more than explain.MaxWhy.
const maxWhys = 768
