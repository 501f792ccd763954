package v1alpha1

// Condition types.
const (
	// ConditionComplete on a CiBuild: the build has ended, well or badly.
	ConditionComplete = "Complete"
	// ConditionPlanned on a CiBuild: what to trigger is decided and committed.
	ConditionPlanned = "Planned"
	// ConditionTriggered on a CiBuild: every run has, or had, a Workflow. On a
	// CdPipeline: it was triggered by the last finished build.
	ConditionTriggered = "Triggered"
	// ConditionFinished on a CiBuild: every run that came of it has ended, well or badly.
	ConditionFinished = "Finished"
	// ConditionReady on a pipeline: nothing in its spec or its parents keeps it
	// from being triggered.
	ConditionReady = "Ready"
	// ConditionRebuilds on a BaseImage: a change rebuilds what is built on it.
	ConditionRebuilds = "Rebuilds"
	// ConditionLaneOpen on a TargetCluster: Workflows are created there. It is absent while
	// no run and no build has anything to do in the cluster.
	ConditionLaneOpen = "LaneOpen"
)

// Outcome is what was decided for one pipeline when a build finished.
type Outcome string

// The outcomes.
const (
	// OutcomeTriggered: a run exists.
	OutcomeTriggered Outcome = "Triggered"
	// OutcomeWaiting: a parent pipeline or a person must act first.
	OutcomeWaiting Outcome = "Waiting"
	// OutcomeSkipped: the configuration says that this build does not trigger it.
	OutcomeSkipped Outcome = "Skipped"
	// OutcomeBlocked: something is wrong and must be mended.
	OutcomeBlocked Outcome = "Blocked"
)

// Reason is why a decision or a condition is as it is, in CamelCase.
type Reason string

// Reasons of decisions, and of a CdPipeline's condition Triggered.
const (
	ReasonTriggered Reason = "Triggered"
	// ReasonSameRun: the artifact is part of another artifact's run.
	ReasonSameRun Reason = "SameRun"
	// ReasonRequested: a RunRequest triggered it.
	ReasonRequested     Reason = "Requested"
	ReasonParentRunning Reason = "ParentRunning"
	// ReasonParentChanged: the pipeline hangs below another parent than the one that
	// triggered it, or that it waited for.
	ReasonParentChanged      Reason = "ParentChanged"
	ReasonSuperseded         Reason = "Superseded"
	ReasonSuspended          Reason = "Suspended"
	ReasonParentSuspended    Reason = "ParentSuspended"
	ReasonManualTrigger      Reason = "ManualTrigger"
	ReasonFilteredOut        Reason = "FilteredOut"
	ReasonBuildNotSucceeded  Reason = "BuildNotSucceeded"
	ReasonParentNotTriggered Reason = "ParentNotTriggered"
	ReasonParentNotSucceeded Reason = "ParentNotSucceeded"
	ReasonInvalidFilter      Reason = "InvalidFilter"
	ReasonFilterFailed       Reason = "FilterFailed"
	ReasonFilterTooExpensive Reason = "FilterTooExpensive"
	// ReasonFilterBudgetExceeded: the filters below one build cost too much together.
	ReasonFilterBudgetExceeded Reason = "FilterBudgetExceeded"
	ReasonPipelineTerminating  Reason = "PipelineTerminating"
)

// Reasons of the conditions of a CiBuild.
const (
	// ReasonBuildSucceeded: the build has succeeded.
	ReasonBuildSucceeded Reason = "BuildSucceeded"
	// ReasonBuildFailed: the build has failed.
	ReasonBuildFailed Reason = "BuildFailed"
	// ReasonBuildError: the build could not run, or did not say what it produced.
	ReasonBuildError Reason = "BuildError"
	// ReasonBuildCancelled: the build was cancelled, or a newer one went first.
	ReasonBuildCancelled Reason = "BuildCancelled"
	// ReasonPlanned: what to trigger is decided and committed.
	ReasonPlanned Reason = "Planned"
	// ReasonPlanning: what to trigger is being decided.
	ReasonPlanning Reason = "Planning"
	// ReasonPlanFailed: what to trigger could not be decided or committed so far.
	ReasonPlanFailed Reason = "PlanFailed"
	// ReasonWaiting: no run is under way, and some wait.
	ReasonWaiting Reason = "Waiting"
	// ReasonRunning: runs are under way, and none has failed.
	ReasonRunning Reason = "Running"
	// ReasonDone: every run has ended, and none has failed.
	ReasonDone Reason = "Done"
	// ReasonRunsFailed: some runs have failed, whether or not others go on.
	ReasonRunsFailed Reason = "RunsFailed"
	// ReasonParentNotFound: what the object hangs below, or is a build of, does not exist.
	ReasonParentNotFound  Reason = "ParentNotFound"
	ReasonRecordsLost     Reason = "RecordsLost"
	ReasonTriggersPending Reason = "TriggersPending"
	ReasonBacklogFull     Reason = "BacklogFull"
	// ReasonRunsHeld: no run waits for a slot, and some for their turn or for a person.
	ReasonRunsHeld Reason = "RunsHeld"
	// ReasonAllTriggered: every run has, or had, a Workflow.
	ReasonAllTriggered Reason = "AllTriggered"
	// ReasonNotAllTriggered: nothing waits any more, and some runs never got a Workflow.
	ReasonNotAllTriggered Reason = "NotAllTriggered"
	// ReasonNotTakenUp: no Argo controller takes a Workflow up. It is a reason of tasks that
	// are Submitted as well.
	ReasonNotTakenUp Reason = "NotTakenUp"
	// ReasonNothingToDo: the build triggers no pipeline.
	ReasonNothingToDo Reason = "NothingToTrigger"
)

// Reasons of the condition Ready, beside ParentNotFound and InvalidFilter.
const (
	// ReasonInvalidWindow: one of spec.windows can't be understood.
	ReasonInvalidWindow Reason = "InvalidWindow"
	// ReasonReady: nothing is wrong.
	ReasonReady Reason = "Ready"
	// ReasonParentCycle: pipelines are their own ancestors.
	ReasonParentCycle Reason = "ParentCycle"
)

// Reasons of the condition Ready of a NotificationChannel, NotificationPolicy or Receiver, beside Ready,
// Suspended, InvalidFilter and, of a Receiver, SecretNotFound, InvalidSecret and Forbidden.
const (
	// ReasonUntried: nothing was sent yet.
	ReasonUntried Reason = "Untried"
	// ReasonDelivered: the receiver has accepted what was sent last.
	ReasonDelivered Reason = "Delivered"
	// ReasonNotDelivered: what was sent last did not arrive, and is tried again.
	ReasonNotDelivered Reason = "NotDelivered"
	// ReasonReceiverRefuses: the receiver's answer was final.
	ReasonReceiverRefuses Reason = "Refused"
	// ReasonGivenUp: an event, not a condition: a notification is not tried again.
	ReasonGivenUp Reason = "GivenUp"
	// ReasonInvalidSpec: a selector or an expression can't be understood.
	ReasonInvalidSpec Reason = "InvalidSpec"
	// ReasonExpressionFailed: an expression gave no answer for an event or a message.
	ReasonExpressionFailed Reason = "ExpressionFailed"
	// ReasonChannelNotFound: a channel that is named does not exist.
	ReasonChannelNotFound Reason = "ChannelNotFound"
)

// Reasons of the condition Ready of a BaseImage, beside Suspended, Forbidden and InvalidSpec.
const (
	// ReasonChecked: the digest is that of the last check.
	ReasonChecked Reason = "Checked"
	// ReasonUnchecked: no check has ended yet, or no build has made the image.
	ReasonUnchecked Reason = "Unchecked"
	// ReasonRegistryRefused: the registry does not accept the credentials or the request.
	ReasonRegistryRefused Reason = "RegistryRefused"
	// ReasonRegistryUnreachable: the registry does not answer, or is out of order.
	ReasonRegistryUnreachable Reason = "RegistryUnreachable"
	// ReasonRateLimited: the registry asks to be left alone for a while.
	ReasonRateLimited Reason = "RateLimited"
	// ReasonImageNotFound: the registry knows no such repository or tag.
	ReasonImageNotFound Reason = "NotFound"
	// ReasonInvalidAnswer: the registry's answer names no digest, or is not understood.
	ReasonInvalidAnswer Reason = "InvalidAnswer"
	// ReasonSecretNotFound: the pull Secret, or that of a Receiver, does not exist.
	ReasonSecretNotFound Reason = "SecretNotFound"
	// ReasonInvalidSecret: the pull Secret holds no credentials for the image, or that of a
	// Receiver no token.
	ReasonInvalidSecret Reason = "InvalidSecret"
	// ReasonRing: base images are built on each other.
	ReasonRing Reason = "Ring"
)

// Reasons of a task that is Held.
const (
	// ReasonStageBefore: the stage before has not succeeded yet.
	ReasonStageBefore Reason = "StageBefore"
	// ReasonPerson: the stage's trigger is Manual, and nobody has resumed it.
	ReasonPerson Reason = "Person"
	// ReasonHold: the pipeline's spec.hold is true.
	ReasonHold Reason = "Hold"
	// ReasonTurn: another build has its turn in the pipeline.
	ReasonTurn Reason = "Turn"
	// ReasonWindow: the pipeline's spec.windows let nothing start now.
	ReasonWindow Reason = "Window"
	// ReasonFreeze: the setting FREEZE lets nothing start now.
	ReasonFreeze Reason = "Freeze"
	// ReasonTemplate: the stage's template does not exist.
	ReasonTemplate Reason = "Template"
)

// Reasons of a task that ended without a Workflow, or whose Workflow vanished or failed.
const (
	// ReasonStageBeforeFailed: a stage before did not succeed.
	ReasonStageBeforeFailed Reason = "StageBeforeFailed"
	// ReasonReplaced: a newer build took the pipeline (concurrencyPolicy Replace).
	ReasonReplaced Reason = "Replaced"
	// ReasonCancelled: a RunRequest cancelled it.
	ReasonCancelled Reason = "Cancelled"
	// ReasonBuildDeleted: the CiBuild was deleted.
	ReasonBuildDeleted Reason = "BuildDeleted"
	// ReasonBuildEnded: somebody else has written how the build ended while it ran here.
	ReasonBuildEnded Reason = "BuildEnded"
	// ReasonNoArtifacts: the Workflow of a build succeeded, and did not say what it produced.
	ReasonNoArtifacts Reason = "NoArtifacts"
	// ReasonAdopted: its Workflow ran when the database knew nothing of it.
	ReasonAdopted Reason = "Adopted"
	// ReasonWorkflowRetried: it goes on, since its Workflow was retried in Argo; or, of an
	// attempt that had not begun, the Workflow of the attempt before was.
	ReasonWorkflowRetried Reason = "WorkflowRetried"
	// ReasonTimedOut: its Workflow ran longer than the stage's timeout.
	ReasonTimedOut Reason = "TimedOut"
	// ReasonRetry: the stage's Workflow failed, and the next attempt has not begun. It is a
	// reason of conditions alone.
	ReasonRetry Reason = "Retry"
	// ReasonUnknownKind: no builder is registered for the task's kind.
	ReasonUnknownKind      Reason = "UnknownKind"
	ReasonNameConflict     Reason = "NameConflict"
	ReasonTemplateNotFound Reason = "TemplateNotFound"
	// ReasonInvalidParameters: a parameter that the template declares has no value, or one
	// that its enum does not hold. It is a reason of the condition Ready as well.
	ReasonInvalidParameters Reason = "InvalidParameters"
	ReasonWorkflowInvalid   Reason = "WorkflowInvalid"
	ReasonWorkflowDeleted   Reason = "WorkflowDeleted"
	// ReasonEndUnknown: the stage's Workflow was deleted before its end was recorded, such as
	// after the database was restored. The stage is not tried again.
	ReasonEndUnknown        Reason = "EndUnknown"
	ReasonPipelineDeleted   Reason = "PipelineDeleted"
	ReasonStageRemoved      Reason = "StageRemoved"
	ReasonNamespaceDeleted  Reason = "NamespaceTerminating"
	ReasonBuilderPanicked   Reason = "BuilderPanicked"
	ReasonSubmissionDelayed Reason = "SubmissionDelayed"
	ReasonWorkflowFailed    Reason = "WorkflowFailed"
)

// Reasons of a task that waits because the API server refuses its Workflow for now.
const (
	// ReasonQuotaExceeded: a ResourceQuota of the namespace is used up.
	ReasonQuotaExceeded Reason = "QuotaExceeded"
	// ReasonForbidden: Penstock may not create Workflows in the namespace, or look into a
	// cluster.
	ReasonForbidden Reason = "Forbidden"
	// ReasonPolicyDenied: a ValidatingAdmissionPolicy denies the Workflow.
	ReasonPolicyDenied Reason = "PolicyDenied"
	// ReasonWebhookDenied: an admission webhook denies the Workflow.
	ReasonWebhookDenied Reason = "WebhookDenied"
	// ReasonWebhookFailed: an admission webhook does not answer.
	ReasonWebhookFailed Reason = "WebhookFailed"
	// ReasonNamespaceShare: the namespace has as many active Workflows as it may have.
	ReasonNamespaceShare Reason = "NamespaceShare"
	// ReasonLaneShut: nothing is triggered in the cluster of the run for now.
	ReasonLaneShut Reason = "LaneShut"
)

// FinalizerRecorded keeps every Workflow that Penstock creates from vanishing, by its
// TTL or by anybody's hand, before its task says what became of it.
const FinalizerRecorded = "penstock.dev/recorded"

// Labels and annotations on every Workflow that Penstock creates.
const (
	// LabelManagedBy marks a Workflow as ours; its value is ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "penstock"
	// LabelTask is the id of the task, for people: the Workflow's name is what makes it
	// the task's.
	LabelTask = "penstock.dev/task"
	// LabelTimeout is how many seconds the Workflow may run, where its stage says so.
	LabelTimeout = "penstock.dev/timeout"
	// LabelIdentity is the task's identity, of which the Workflow's name holds a part.
	LabelIdentity = "penstock.dev/identity"
	// LabelStage is pre, deploy or post; build for the Workflow of a build.
	LabelStage = "penstock.dev/stage"
	// LabelPipeline is the CdPipeline's name, shortened to a label's length.
	LabelPipeline = "penstock.dev/pipeline"
	// LabelBuild is the CiBuild's name, shortened to a label's length.
	LabelBuild = "penstock.dev/build"
	// AnnotationPipeline is the CdPipeline's whole name.
	AnnotationPipeline = "penstock.dev/pipeline"
	// AnnotationBuild is the CiBuild's whole name.
	AnnotationBuild = "penstock.dev/build"
	// AnnotationImage is the image and digest that the Workflow handles.
	AnnotationImage = "penstock.dev/image"
	// AnnotationHoldBy and AnnotationHoldReason name who changed spec.hold of a CdPipeline
	// last, and why.
	AnnotationHoldBy     = "penstock.dev/hold-by"
	AnnotationHoldReason = "penstock.dev/hold-reason"
	// AnnotationFreezeBy, on the ConfigMap penstock-settings, names who changed FREEZE last.
	AnnotationFreezeBy = "penstock.dev/freeze-by"
	// AnnotationSettingsChange, AnnotationSettingsBy and AnnotationSettingsReason, on the same
	// ConfigMap, tell what Penstock's own means have changed last, by whom and why.
	AnnotationSettingsChange = "penstock.dev/settings-change"
	AnnotationSettingsBy     = "penstock.dev/settings-by"
	AnnotationSettingsReason = "penstock.dev/settings-reason"
	// AnnotationBy and AnnotationReason, on a Workflow, name who asked for it by a
	// RunRequest, and why; on that of a build they are what its spec.cause says.
	AnnotationBy     = "penstock.dev/by"
	AnnotationReason = "penstock.dev/reason"
	// AnnotationDelivery is the number of the webhook's delivery that a CiBuild was made for.
	AnnotationDelivery = "penstock.dev/delivery"
)
