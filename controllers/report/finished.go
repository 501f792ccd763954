package report

import (
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// finishedCondition says whether every run that came of a planned build has ended, and how.
func finishedCondition(build *v1alpha1.CiBuild, summary *store.Summary) metav1.Condition {
	triggers := summary.Triggers
	condition := metav1.Condition{Type: v1alpha1.ConditionFinished, Status: metav1.ConditionTrue, Reason: string(v1alpha1.ReasonDone)}
	if triggers.Total == 0 {
		condition.Reason, condition.Message = string(v1alpha1.ReasonNothingToDo), "no pipeline is to be triggered"
		if build.Status.Phase != v1alpha1.BuildSucceeded {
			condition.Message = fmt.Sprintf("a build that ended as %s triggers nothing", build.Status.Phase)
		}
		return condition
	}
	if triggers.Waiting+triggers.Active > 0 {
		condition.Status = metav1.ConditionFalse
	}
	switch {
	case triggers.Failed > 0:
		condition.Reason = string(v1alpha1.ReasonRunsFailed)
	case triggers.Active > 0:
		condition.Reason = string(v1alpha1.ReasonRunning)
	case triggers.Waiting > 0:
		condition.Reason = string(v1alpha1.ReasonWaiting)
	}
	condition.Message = countsOf(triggers) + describeRetried(summary) + describeFailures(summary) + adviseRetry(summary)
	return condition
}

// countsOf says how many runs are where, each in one place.
func countsOf(triggers v1alpha1.TriggerSummary) string {
	var parts []string
	for _, count := range []struct {
		runs int32
		what string
	}{
		{triggers.Failed, "failed"},
		{triggers.Cancelled, "cancelled"},
		{triggers.Superseded, "superseded"},
		{triggers.Waiting, "waiting"},
		{triggers.Active, "running"},
		{triggers.Succeeded, "succeeded"},
	} {
		if count.runs > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count.runs, count.what))
		}
	}
	noun := "runs"
	if triggers.Total == 1 {
		noun = "run"
	}
	return fmt.Sprintf("of %d %s: %s", triggers.Total, noun, strings.Join(parts, ", "))
}

// finishedNews tells of runs that have failed since the status was written before.
func finishedNews(before, after v1alpha1.CiBuildStatus) []news {
	changed := changedCondition(before.Conditions, after.Conditions, v1alpha1.ConditionFinished)
	if changed == nil || changed.Reason != string(v1alpha1.ReasonRunsFailed) || failed(after) <= failed(before) {
		return nil
	}
	return []news{newsOf(corev1.EventTypeWarning, changed.Reason, "Deploy", changed.Message)}
}

func failed(status v1alpha1.CiBuildStatus) int32 {
	if status.Triggers == nil {
		return 0
	}
	return status.Triggers.Failed
}

const (
	// planningPatience is how long a build may take to be planned before its status says that
	// it is: mostly that saves a write.
	planningPatience = 2 * time.Second
	// planningForgotten is when a build is forgotten that was never looked at again.
	planningForgotten = time.Minute
)

// planning knows since when ended builds are seen without a plan.
type planning map[types.NamespacedName]time.Time

// overdue tells whether a build has been seen without a plan for a while. One that has not
// is to be looked at again.
func (p planning) overdue(key types.NamespacedName, now time.Time) bool {
	maps.DeleteFunc(p, func(_ types.NamespacedName, since time.Time) bool { return now.Sub(since) > planningForgotten })
	since, seen := p[key]
	if !seen {
		p[key] = now
		return false
	}
	return now.Sub(since) >= planningPatience
}
