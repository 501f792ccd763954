package report

import (
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// queued tells whether what was triggered last waits for a slot, or to be tried again.
func (f facts) queued() bool {
	return f.run != nil && f.decision != nil && f.run.BuildName == f.decision.BuildName &&
		(f.run.Status == store.StatusPending || f.run.Status == store.StatusSubmitting)
}

// queuedReason says why a run that waits for a slot has no Workflow yet.
func (f facts) queuedReason() (v1alpha1.Reason, string) {
	run := f.run
	if run.Reason == "" {
		return v1alpha1.ReasonTriggersPending, fmt.Sprintf("build %s: stage %s of run %d waits for a slot", run.BuildName, run.Stage, run.Run)
	}
	return run.Reason, fmt.Sprintf("build %s: stage %s of run %d is tried again: %s", run.BuildName, run.Stage, run.Run, run.Message)
}

// unspoken are reasons of the condition Triggered that are no event: there would be one for
// each run.
var unspoken = map[v1alpha1.Reason]bool{v1alpha1.ReasonTriggersPending: true, v1alpha1.ReasonSubmissionDelayed: true}
