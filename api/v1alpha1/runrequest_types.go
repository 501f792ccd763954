package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Action is what a RunRequest asks for.
//
// +kubebuilder:validation:Enum=Trigger;Retry;Resume;Cancel;Rollback
type Action string

// The actions.
const (
	// ActionTrigger runs the pipeline for a build, whatever was decided for it.
	ActionTrigger Action = "Trigger"
	// ActionRetry makes a new run that begins at the stage that failed.
	ActionRetry Action = "Retry"
	// ActionResume starts a stage that waits for a person.
	ActionResume Action = "Resume"
	// ActionCancel ends a run: what waits is cancelled, what is active is stopped.
	ActionCancel Action = "Cancel"
	// ActionRollback deploys the run that succeeded before the deployed one again. It
	// does not go on to the pipelines below.
	ActionRollback Action = "Rollback"
)

// ObjectReference names an object that is not a pipeline: a CiBuild or a BaseImage in the
// same namespace, or a TargetCluster.
type ObjectReference struct {
	// Kind of the object.
	// +kubebuilder:validation:Enum=CiBuild;BaseImage;TargetCluster
	Kind string `json:"kind"`

	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// RunRequestSpec is what a person asks for. It cannot change.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: create a new RunRequest instead"
// +kubebuilder:validation:XValidation:rule="has(self.pipelineRef) != has(self.target)",message="set exactly one of pipelineRef and target"
// +kubebuilder:validation:XValidation:rule="!has(self.target) || self.action == 'Cancel' || self.action == (self.target.kind == 'CiBuild' ? 'Retry' : 'Resume')",message="target can only be used with Cancel, with Retry for a CiBuild, and with Resume for a BaseImage or TargetCluster: change action, or set pipelineRef instead",fieldPath=".target"
// +kubebuilder:validation:XValidation:rule="!has(self.target) || (!has(self.buildRef) && !has(self.run) && !has(self.stage))",message="buildRef, run and stage cannot be used with target: remove them, or set pipelineRef instead of target"
// +kubebuilder:validation:XValidation:rule="self.action != 'Trigger' || has(self.buildRef)",message="the action Trigger needs buildRef: name the CiBuild to run the pipeline for",fieldPath=".buildRef",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.action != 'Trigger' || !has(self.run)",message="the action Trigger makes a new run: remove run",fieldPath=".run"
// +kubebuilder:validation:XValidation:rule="self.action != 'Rollback' || (!has(self.buildRef) && !has(self.run))",message="the action Rollback chooses the run that succeeded before the deployed one: remove buildRef and run"
// +kubebuilder:validation:XValidation:rule="!has(self.pipelineRef) || !(self.action in ['Retry','Resume','Cancel']) || has(self.buildRef) != has(self.run)",message="the actions Retry, Resume and Cancel need a run: set exactly one of buildRef and run"
// +kubebuilder:validation:XValidation:rule="!has(self.stage) || self.action in ['Retry','Resume']",message="stage can only be used with the actions Retry and Resume: remove stage",fieldPath=".stage"
// +kubebuilder:validation:XValidation:rule="!has(self.allowOlder) || !self.allowOlder || self.action in ['Trigger','Retry']",message="allowOlder can only be used with the actions Trigger and Retry: remove allowOlder",fieldPath=".allowOlder"
type RunRequestSpec struct {
	// Action is what to do. It needs the verb of the same name, in lower case, on the
	// CdPipeline or the target.
	Action Action `json:"action"`

	// PipelineRef names the CdPipeline, in the same namespace.
	// +optional
	PipelineRef *PipelineReference `json:"pipelineRef,omitempty"`

	// BuildRef names the CiBuild: Trigger runs the pipeline for it; Retry, Resume and
	// Cancel are about its newest run in the pipeline.
	// +optional
	BuildRef *PipelineReference `json:"buildRef,omitempty"`

	// Run is the number of one run of the pipeline, such as its status.lastRun.run.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Run *int64 `json:"run,omitempty"`

	// Stage is the stage that Retry begins with or Resume starts. Empty means the stage
	// that failed, or the one that waits for a person.
	// +optional
	// +kubebuilder:validation:Enum=PRE;DEPLOY;POST
	Stage string `json:"stage,omitempty"`

	// Reason is why the person asks, for everybody who reads the history.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// AllowOlder true lets Trigger and Retry deploy a build although a newer one had its
	// turn.
	// +optional
	AllowOlder bool `json:"allowOlder,omitempty"`

	// By is the user name of the person who asks. To name somebody else, the creator
	// needs the verb requestforothers on the CdPipeline or the target.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	By string `json:"by,omitempty"`

	// Target names the object that the action is about where that is not a pipeline: a
	// CiBuild (Cancel ends it, Retry makes it anew), a BaseImage (its wave of rebuilds) or a
	// TargetCluster.
	// +optional
	Target *ObjectReference `json:"target,omitempty"`
}

// RunRequestPhase is where a request stands.
//
// +kubebuilder:validation:Enum=Accepted;Done;Refused
type RunRequestPhase string

// The phases of a request.
const (
	// RequestAccepted: it is committed, and what it asked for is under way.
	RequestAccepted RunRequestPhase = "Accepted"
	// RequestDone: what it asked for is committed.
	RequestDone RunRequestPhase = "Done"
	// RequestRefused: nothing was done; the message says why.
	RequestRefused RunRequestPhase = "Refused"
)

// RunRequestStatus is written by Penstock alone.
type RunRequestStatus struct {
	// Phase is where the request stands.
	// +optional
	Phase RunRequestPhase `json:"phase,omitempty"`

	// Run is the run that was made, resumed or cancelled.
	// +optional
	Run int64 `json:"run,omitempty"`

	// Message says what was done, or why not.
	// +optional
	Message string `json:"message,omitempty"`

	// At is when it was carried out or refused.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

// RunRequest asks for one action, once. A request that is deleted and created again with
// the same name and spec is not carried out again.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rr,categories=penstock
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Pipeline",type=string,JSONPath=`.spec.pipelineRef.name`
// +kubebuilder:printcolumn:name="Build",type=string,JSONPath=`.spec.buildRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Run",type=integer,JSONPath=`.status.run`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RunRequest struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RunRequestSpec   `json:"spec"`
	Status RunRequestStatus `json:"status,omitempty"`
}

// RunRequestList is a list of RunRequests.
//
// +kubebuilder:object:root=true
type RunRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RunRequest `json:"items"`
}
