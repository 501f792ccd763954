package explain

import (
	"cmp"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Of is what a reason is a reason of.
type Of string

// What reasons are of.
const (
	OfDecision Of = "decision" // what was decided for a pipeline
	OfWait     Of = "wait"     // a stage waits for something else than a slot
	OfDelay    Of = "delay"    // the API server takes no Workflow of the stage now
	OfEnd      Of = "end"      // a stage ended without having succeeded
)

// Reason is what one reason means.
type Reason struct {
	Name v1alpha1.Reason
	Of   Of
	// Meaning is a sentence without its full stop. It is the rule that decided, or what happened.
	Meaning string
	// WaitsFor completes "waits for"; empty unless the reason is one of waits.
	WaitsFor string
	// Remedy is what to do, as a clause; empty where nothing needs to be done.
	Remedy string
}

// Reasons are all that an explanation may give, in the order of the documentation.
func Reasons() []Reason {
	var all []Reason
	for _, some := range [][]Reason{decisions, waits, delays, ends} {
		all = append(all, some...)
	}
	return all
}

// The reasons of decisions. Their meanings are the rules, as trigger.Decider applies them.
var decisions = []Reason{
	{v1alpha1.ReasonTriggered, OfDecision, "the parent succeeded, the pipeline is neither suspended nor Manual, and its filter is true or absent", "", ""},
	{v1alpha1.ReasonSameRun, OfDecision, "the artifact belongs to the run of another artifact: both are one digest of one repository, or `artifacts` is All", "", ""},
	{v1alpha1.ReasonRequested, OfDecision, "a person asked for it with a RunRequest", "", ""},
	{v1alpha1.ReasonParentRunning, OfDecision, "the pipeline above was triggered, and its run has not ended yet", "", "wait; see what the pipeline above waits for"},
	{v1alpha1.ReasonSuspended, OfDecision, "`spec.suspend` of the pipeline was true when its parent succeeded", "", "set `spec.suspend` to false, then trigger the build"},
	{v1alpha1.ReasonParentSuspended, OfDecision, "`spec.suspend` of the CiPipeline was true when the build ended", "", "set it to false, then trigger the build"},
	{v1alpha1.ReasonManualTrigger, OfDecision, "`spec.trigger` of the pipeline is Manual: builds do not start it", "", "trigger the build"},
	{v1alpha1.ReasonFilteredOut, OfDecision, "`spec.filter` was false for the artifact", "", "change `spec.filter` if it should have been true, then trigger the build"},
	{v1alpha1.ReasonInvalidFilter, OfDecision, "`spec.filter` does not compile", "", "correct `spec.filter`, then trigger the build"},
	{v1alpha1.ReasonFilterFailed, OfDecision, "`spec.filter` gave an error instead of true or false", "", "correct `spec.filter`, then trigger the build"},
	{v1alpha1.ReasonFilterTooExpensive, OfDecision, "`spec.filter` costs more than one filter may", "", "simplify `spec.filter`, then trigger the build"},
	{v1alpha1.ReasonFilterBudgetExceeded, OfDecision, "the filters below the build cost too much together", "", "simplify `spec.filter` of the pipelines, then trigger the build"},
	{v1alpha1.ReasonBuildNotSucceeded, OfDecision, "the build did not end as Succeeded", "", "mend the build and build again"},
	{v1alpha1.ReasonParentNotTriggered, OfDecision, "the pipeline above was not triggered for the build", "", "see why the pipeline above was not; or trigger the build here"},
	{v1alpha1.ReasonParentNotSucceeded, OfDecision, "the run of the pipeline above did not succeed", "", "retry the pipeline above; or trigger the build here"},
	{v1alpha1.ReasonParentChanged, OfDecision, "the pipeline was hung below another parent meanwhile", "", "trigger the build if it should run here"},
	{v1alpha1.ReasonSuperseded, OfDecision, "a newer build went first in the pipeline, and an older one never replaces it", "", "trigger the build with --allow-older if it should run all the same"},
	{v1alpha1.ReasonPipelineTerminating, OfDecision, "the pipeline was being deleted", "", ""},
	{v1alpha1.ReasonPipelineDeleted, OfDecision, "the pipeline was deleted", "", ""},
	{v1alpha1.ReasonRecordsLost, OfDecision, "the database was restored from a backup that is older than the run", "", "see what is deployed; trigger the build if it should run again"},
}

// The reasons for which a stage waits. WaitsFor is part of conditions too.
var waits = []Reason{
	{v1alpha1.ReasonTriggersPending, OfWait, "as many Workflows are being created as `CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE` allows, or the API's rate is used up", "a slot", "wait; `docs/tuning.md` says how to raise the limit"},
	{v1alpha1.ReasonBacklogFull, OfWait, "as many Workflows are unfinished as `MAX_ACTIVE_WORKFLOWS` allows", "Workflows to finish", "end or stop the Workflows that are named, or raise the setting"},
	{v1alpha1.ReasonStageBefore, OfWait, "the stage before has not succeeded yet", "the stage before", ""},
	{v1alpha1.ReasonPerson, OfWait, "the trigger of the stage is Manual", "a person (RunRequest with action Resume)", "resume it"},
	{v1alpha1.ReasonHold, OfWait, "`spec.hold` of the pipeline is true", "spec.hold to be false", "release the pipeline"},
	{v1alpha1.ReasonTurn, OfWait, "builds of one pipeline go one after the other (`concurrencyPolicy`)", "the turn of another build to end", "wait, or cancel the build that has the turn"},
	{v1alpha1.ReasonWindow, OfWait, "`spec.windows` let nothing start now", "its windows to open", "wait, or resume it with a reason"},
	{v1alpha1.ReasonFreeze, OfWait, "the setting `FREEZE` lets nothing start now", "the freeze to end", "wait, or resume it with a reason"},
	{v1alpha1.ReasonTemplate, OfWait, "the template of the stage does not exist", "its template to exist", "create the template, or correct `templateRef`"},
	{v1alpha1.ReasonRetry, OfWait, "the Workflow failed, and the stage has attempts left", "the next attempt", "wait, or cancel it"},
	{v1alpha1.ReasonNotTakenUp, OfWait, "the Workflow exists, and no Argo controller has begun it", "an Argo controller to take the Workflow up", "look whether Argo runs, and at its instance ID"},
}

// The reasons for which Workflows are not taken now. All go on by themselves once they are mended.
var delays = []Reason{
	{v1alpha1.ReasonQuotaExceeded, OfDelay, "a ResourceQuota of the namespace is used up", "", "raise the quota, or delete Workflows that have ended"},
	{v1alpha1.ReasonForbidden, OfDelay, "Penstock may not create Workflows in the namespace", "", "grant Penstock's account the right to create Workflows there"},
	{v1alpha1.ReasonPolicyDenied, OfDelay, "a ValidatingAdmissionPolicy denies the Workflow", "", "change the policy, or what it denies in the template"},
	{v1alpha1.ReasonWebhookDenied, OfDelay, "an admission webhook denies the Workflow", "", "change the webhook's rules, or what it denies in the template"},
	{v1alpha1.ReasonWebhookFailed, OfDelay, "an admission webhook does not answer", "", "repair the webhook"},
	{v1alpha1.ReasonNamespaceShare, OfDelay, "the namespace has as many unfinished Workflows as `MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE` allows", "", "wait for Workflows to end, or raise the setting"},
	{v1alpha1.ReasonLaneShut, OfDelay, "nothing is triggered in the run's TargetCluster for now", "", "do what the message says: mend the cluster, or confirm the one that answers"},
	{v1alpha1.ReasonSubmissionDelayed, OfDelay, "the API server or a webhook failed when the Workflow was created", "", ""},
}

// How stages end that do not succeed.
var ends = []Reason{
	{v1alpha1.ReasonWorkflowFailed, OfEnd, "the Workflow failed", "", "look at the Workflow, then retry the stage"},
	{v1alpha1.ReasonTimedOut, OfEnd, "the Workflow ran longer than the stage's `timeout`", "", "raise `timeout`, or mend the Workflow, then retry the stage"},
	{v1alpha1.ReasonWorkflowDeleted, OfEnd, "somebody deleted the Workflow before it ended", "", "retry the stage"},
	{v1alpha1.ReasonEndUnknown, OfEnd, "the Workflow was deleted before its end was recorded", "", "see what is deployed, then retry the stage"},
	{v1alpha1.ReasonStageBeforeFailed, OfEnd, "a stage before did not succeed", "", "retry the run"},
	{v1alpha1.ReasonCancelled, OfEnd, "a person cancelled it", "", "retry the run if it should go on"},
	{v1alpha1.ReasonReplaced, OfEnd, "a newer build took its place (`concurrencyPolicy: Replace`)", "", ""},
	{v1alpha1.ReasonSuperseded, OfEnd, "a newer build went first while it waited", "", "trigger the build with --allow-older if it should run all the same"},
	{v1alpha1.ReasonSuspended, OfEnd, "`spec.suspend` of the pipeline was set to true while it waited", "", "set `spec.suspend` to false, then retry the run"},
	{v1alpha1.ReasonParentChanged, OfEnd, "the pipeline was hung below another parent before it began", "", "trigger the build if it should run here"},
	{v1alpha1.ReasonPipelineDeleted, OfEnd, "the pipeline was deleted", "", ""},
	{v1alpha1.ReasonBuildDeleted, OfEnd, "the CiBuild was deleted", "", ""},
	{v1alpha1.ReasonBuildEnded, OfEnd, "somebody else has written into the status of the CiBuild how it ended, while it ran here", "", "let either Argo or an external CI system run the builds of a CiPipeline: without spec.workflow they run elsewhere"},
	{v1alpha1.ReasonTemplateNotFound, OfEnd, "the template did not appear within `TEMPLATE_WAIT`", "", "create the template, then retry the stage"},
	{v1alpha1.ReasonInvalidParameters, OfEnd, "the template wants parameters that the stage does not give, or other values", "", "correct the parameters, then retry the stage"},
	{v1alpha1.ReasonWorkflowInvalid, OfEnd, "the API server refused the Workflow as invalid", "", "correct the template, then retry the stage"},
	{v1alpha1.ReasonNameConflict, OfEnd, "another Workflow has the name", "", "delete that Workflow, then retry the stage"},
	{v1alpha1.ReasonStageRemoved, OfEnd, "the pipeline no longer has the stage", "", ""},
	{v1alpha1.ReasonNamespaceDeleted, OfEnd, "the namespace was being deleted", "", ""},
	{v1alpha1.ReasonBuilderPanicked, OfEnd, "Penstock failed to make the Workflow", "", "report it as a bug, with the message"},
	{v1alpha1.ReasonUnknownKind, OfEnd, "the task is of a kind that this version does not know", "", "upgrade the controller"},
	{v1alpha1.ReasonClusterChanged, OfEnd, "a person has confirmed that another cluster answers under the name of the run's TargetCluster, or has given that one up", "", "look for the Workflow in the cluster of before, then retry the run"},
	{v1alpha1.ReasonNoArtifacts, OfEnd, "the Workflow of the build did not say what it produced", "", "correct `outputs`, and build again"},
}

// of returns what a reason means; the zero Reason where it is not known.
func of(kind []Reason, name v1alpha1.Reason) Reason {
	for _, reason := range kind {
		if reason.Name == name {
			return reason
		}
	}
	return Reason{}
}

// WaitsFor says what ends the wait of a stage, to complete "waits for".
func WaitsFor(reason v1alpha1.Reason) string { return of(waits, reason).WaitsFor }

// IsDelay tells whether Workflows are refused for the reason, and tried again.
func IsDelay(reason v1alpha1.Reason) bool {
	return reason != v1alpha1.ReasonNamespaceShare && reason != v1alpha1.ReasonLaneShut && of(delays, reason).Name != ""
}

// DecisionMeaning says what the reason of a decision means, as a clause; empty where it is not known.
// Names of fields and settings are in backticks.
func DecisionMeaning(reason v1alpha1.Reason) string { return of(decisions, reason).Meaning }

// StageMeaning says what the reason of a stage or a run means, as DecisionMeaning does.
func StageMeaning(reason v1alpha1.Reason) string {
	if end := WaitsFor(reason); end != "" {
		return "waits for " + end
	}
	return cmp.Or(of(delays, reason).Meaning, of(ends, reason).Meaning)
}
