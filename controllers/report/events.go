package report

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
)

// news is an event that a status write makes true.
type news struct {
	kind   string
	reason string
	action string
	note   string
}

func newsOf(kind, reason, action, note string) news {
	return news{kind: kind, reason: reason, action: action, note: clip.Note(note)}
}

// buildNews tells what changed in a build's conditions.
func buildNews(was, is v1alpha1.CiBuildStatus) []news {
	before, after := was.Conditions, is.Conditions
	var list []news
	if changed := changedCondition(before, after, v1alpha1.ConditionPlanned); changed != nil && changed.Reason != string(v1alpha1.ReasonPlanning) {
		kind := corev1.EventTypeNormal
		if changed.Status != metav1.ConditionTrue {
			kind = corev1.EventTypeWarning
		}
		list = append(list, newsOf(kind, changed.Reason, "Plan", changed.Message))
	}
	changed := changedCondition(before, after, v1alpha1.ConditionTriggered)
	switch {
	case changed == nil:
	case explain.IsDelay(v1alpha1.Reason(changed.Reason)) && reasonOf(before, changed.Type) != changed.Reason, namesHolders(before, changed):
		list = append(list, newsOf(corev1.EventTypeWarning, changed.Reason, "Trigger", changed.Message))
	case changed.Reason == string(v1alpha1.ReasonNotAllTriggered) && reasonOf(before, changed.Type) != changed.Reason:
		list = append(list, newsOf(untriggeredType(is), changed.Reason, "Trigger", changed.Message+whyUntriggered(is)))
	case changed.Reason == string(v1alpha1.ReasonNotTakenUp) && reasonOf(before, changed.Type) != changed.Reason:
		list = append(list, newsOf(corev1.EventTypeWarning, changed.Reason, "Trigger", changed.Message))
	case changed.Status == metav1.ConditionTrue, changed.Reason == string(v1alpha1.ReasonBacklogFull) && reasonOf(before, changed.Type) != changed.Reason:
		list = append(list, newsOf(corev1.EventTypeNormal, changed.Reason, "Trigger", changed.Message))
	}
	return list
}

// untriggeredType is the type of the event that some runs never get a Workflow: a warning,
// unless all of them were superseded or cancelled.
func untriggeredType(status v1alpha1.CiBuildStatus) string {
	if failed(status) > 0 {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

// whyUntriggered says what superseded or cancelled runs. What has failed is an event of its own.
func whyUntriggered(status v1alpha1.CiBuildStatus) string {
	finished := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionFinished)
	if finished == nil || failed(status) > 0 {
		return ""
	}
	return "; " + finished.Message
}

// namesHolders tells whether a build tells for the first time who keeps the gate closed.
func namesHolders(before []metav1.Condition, changed *metav1.Condition) bool {
	old := meta.FindStatusCondition(before, changed.Type)
	return strings.Contains(changed.Message, explain.HeldBy) && (old == nil || !strings.Contains(old.Message, explain.HeldBy))
}

func reasonOf(conditions []metav1.Condition, kind string) string {
	if condition := meta.FindStatusCondition(conditions, kind); condition != nil {
		return condition.Reason
	}
	return ""
}

// pipelineNews tells what keeps a pipeline from being triggered, and what of it did not
// succeed.
func pipelineNews(before, after v1alpha1.CdPipelineStatus) []news {
	list := waitingNews(before.Conditions, after.Conditions)
	if run := after.LastRun; run != nil && endOf[store.Status(run.Phase)] != "" && !sameRun(before.LastRun, run) {
		note := "stage " + run.Stage + " for build " + run.BuildName + " ended as " + run.Phase
		if run.Message != "" {
			note += ": " + run.Message
		}
		list = append(list, newsOf(endOf[store.Status(run.Phase)], run.Phase, "Deploy", note))
	}
	return list
}

// waitingNews tells what keeps a pipeline from being triggered.
func waitingNews(before, after []metav1.Condition) []news {
	var list []news
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionTriggered} {
		changed := changedCondition(before, after, kind)
		if changed == nil || changed.Status == metav1.ConditionTrue {
			continue
		}
		reason := v1alpha1.Reason(changed.Reason)
		goesOn := (explain.IsDelay(reason) || reason == v1alpha1.ReasonBacklogFull) && reasonOf(before, kind) == changed.Reason
		if unspoken[reason] || goesOn {
			continue // one more attempt, or another holder, is no news
		}
		eventType := corev1.EventTypeNormal
		if (kind == v1alpha1.ConditionReady && !wanted[reason]) || explain.IsDelay(reason) || blocked[reason] {
			eventType = corev1.EventTypeWarning
		}
		list = append(list, newsOf(eventType, changed.Reason, "Decide", changed.Message))
	}
	return list
}

// wanted are the reasons of Ready that somebody chose in the spec.
var wanted = map[v1alpha1.Reason]bool{v1alpha1.ReasonSuspended: true, v1alpha1.ReasonHold: true}

// blocked are the reasons that somebody must mend.
var blocked = map[v1alpha1.Reason]bool{
	v1alpha1.ReasonInvalidFilter:      true,
	v1alpha1.ReasonFilterFailed:       true,
	v1alpha1.ReasonFilterTooExpensive: true, v1alpha1.ReasonFilterBudgetExceeded: true,
	v1alpha1.ReasonParentNotSucceeded: true,
	v1alpha1.ReasonNotTakenUp:         true,
	v1alpha1.ReasonRetry:              true,
}

// endOf are the types of the events about runs that did not succeed. What was cancelled or
// superseded is so because somebody wanted it, or a newer build came: nothing is to be mended.
var endOf = map[store.Status]string{
	store.StatusFailed: corev1.EventTypeWarning, store.StatusError: corev1.EventTypeWarning,
	store.StatusCancelled: corev1.EventTypeNormal, store.StatusSuperseded: corev1.EventTypeNormal,
}

func sameRun(before, after *v1alpha1.LastRun) bool {
	return before != nil && before.Phase == after.Phase && before.WorkflowName == after.WorkflowName &&
		before.BuildName == after.BuildName && before.Stage == after.Stage &&
		before.Image == after.Image && before.Digest == after.Digest
}

// changedCondition returns a condition that has another status, reason or message than it
// had.
func changedCondition(before, after []metav1.Condition, kind string) *metav1.Condition {
	old, now := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
	if now == nil || (old != nil && old.Status == now.Status && old.Reason == now.Reason && old.Message == now.Message) {
		return nil
	}
	return now
}
