package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
)

// explainDelays adds what is known of the namespaces to what the rows say of delayed runs.
func (r *Reporter) explainDelays(summary *store.Summary) {
	for i := range summary.Delayed {
		delayed := &summary.Delayed[i]
		delayed.Message = r.delayText(delayed.Cluster, delayed.Namespace, delayed.Reason, delayed.Message, delayed.Attempts, delayed.Next)
	}
}

// explainRun does the same for the newest run of a pipeline.
func (r *Reporter) explainRun(uid string, run store.LastRun, pipelines []*v1alpha1.CdPipeline) store.LastRun {
	i := slices.IndexFunc(pipelines, func(pipeline *v1alpha1.CdPipeline) bool { return string(pipeline.UID) == uid })
	if run.Status != store.StatusPending {
		return explainAttempts(explainTurn(explainTemplate(run, r.TemplateWait)), pipelines[i])
	}
	if run.DelayedBy == "" && explain.IsDelay(run.Reason) {
		run.DelayedBy = run.Reason // it waits by itself
	}
	if run.DelayedBy == "" {
		return explainAttempts(run, pipelines[i])
	}
	run.Reason, run.Message = run.DelayedBy, r.delayText(run.Cluster, pipelines[i].Namespace, run.DelayedBy, run.Message, run.Attempts, run.Next)
	return run
}

// delayText says why Workflows are refused, how often and since when, and when one is tried
// next: what is known of the namespace, or else what the row of the task says.
func (r *Reporter) delayText(cluster, namespace string, reason v1alpha1.Reason, message string, attempts int, next time.Time) string {
	told := explain.Delay{Reason: reason, Message: message, Attempts: attempts, Next: next}
	if r.Delay != nil && cluster == "" { // it knows of the namespaces at home
		if known, shut := r.Delay(namespace); shut && known.Reason == string(reason) && known.Attempts > 0 {
			told.Message, told.Attempts, told.Since, told.Next = known.Message, known.Attempts, known.Since, known.Next
		}
	}
	return told.String()
}

// describeDelayed says what delays runs.
func describeDelayed(summary *store.Summary) string {
	var text strings.Builder
	for _, delayed := range summary.Delayed {
		fmt.Fprintf(&text, "; %s (%s): %s: %s", countedDelayed(delayed.Count), names(delayed.Examples, delayed.Count), delayed.Reason, delayed.Message)
	}
	return text.String()
}

func countedDelayed(runs int64) string {
	if runs == 1 {
		return "1 run is delayed"
	}
	return fmt.Sprintf("%d runs are delayed", runs)
}
