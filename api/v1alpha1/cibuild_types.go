package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BuildPhase is where a build stands. Succeeded, Failed, Error and Cancelled are
// terminal: the API server refuses to leave them.
//
// +kubebuilder:validation:Enum=Pending;Running;Succeeded;Failed;Error;Cancelled
type BuildPhase string

// The phases of a build.
const (
	BuildPending   BuildPhase = "Pending"
	BuildRunning   BuildPhase = "Running"
	BuildSucceeded BuildPhase = "Succeeded"
	BuildFailed    BuildPhase = "Failed"
	BuildError     BuildPhase = "Error"
	BuildCancelled BuildPhase = "Cancelled"
)

// CauseType is what started a build.
//
// +kubebuilder:validation:Enum=Manual;Webhook;BaseImage;API
type CauseType string

// The causes of a build.
const (
	CauseManual    CauseType = "Manual"
	CauseWebhook   CauseType = "Webhook"
	CauseBaseImage CauseType = "BaseImage"
	CauseAPI       CauseType = "API"
)

// CiBuildSpec says what is being built and why. It cannot change.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: create a new CiBuild instead"
type CiBuildSpec struct {
	// PipelineRef names the CiPipeline, in the same namespace.
	PipelineRef PipelineReference `json:"pipelineRef"`

	// Revision is the commit, tag or branch that is built. It reaches templates as data:
	// what Argo would evaluate is refused.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	// +kubebuilder:validation:XValidation:rule="!self.contains('{{') && !self.contains('}}')",message="revision must hold neither {{ nor }}: Argo would evaluate what stands between them"
	Revision string `json:"revision,omitempty"`

	// Ref is the branch or tag that the revision was built of, without refs/heads/ or
	// refs/tags/. Builds of one ref take turns, as the pipeline's concurrencyPolicy says.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	// +kubebuilder:validation:XValidation:rule="!self.contains('{{') && !self.contains('}}')",message="ref must hold neither {{ nor }}: Argo would evaluate what stands between them"
	Ref string `json:"ref,omitempty"`

	// Cause is why this build exists.
	// +optional
	Cause *BuildCause `json:"cause,omitempty"`
}

// PipelineReference names an object in the same namespace. The field that holds it
// says of which kind.
type PipelineReference struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// BuildCause is why a build exists.
type BuildCause struct {
	Type CauseType `json:"type"`

	// By is the person or system that asked for the build.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by,omitempty"`

	// Message is free text for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// Artifact is one image that a build produced.
type Artifact struct {
	// Image is the repository and tag, without the digest and without a scheme, such as
	// registry.example.com:5000/team/shop:1.2.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^(((localhost|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?:[0-9]{1,5})/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127})?$`
	Image string `json:"image"`

	// Digest is the manifest's digest: sha256, sha384 or sha512 in lower-case hexadecimal.
	// +kubebuilder:validation:Pattern=`^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`
	// +kubebuilder:validation:MaxLength=255
	Digest string `json:"digest"`
}

// WorkflowReference names the Workflow that ran the build.
type WorkflowReference struct {
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +optional
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// TriggerSummary counts the runs that came of a build, over all its descendants.
type TriggerSummary struct {
	// Total is the number of runs triggered: one for each triggered pipeline and
	// artifact. Where one was run again, as by a retry, the newer run counts, and an
	// earlier one until it has ended.
	Total int32 `json:"total"`
	// Pending runs wait for a slot.
	Pending int32 `json:"pending"`
	// Held runs wait for their turn, for a person, or for hold to be false.
	// +optional
	Held int32 `json:"held"`
	// Submitted runs have a Workflow that Argo has not started.
	Submitted int32 `json:"submitted"`
	// Running runs have a Workflow that Argo has started, or go on to their next stage.
	Running int32 `json:"running"`
	// Succeeded runs have finished their last stage.
	Succeeded int32 `json:"succeeded"`
	// Failed runs ended as Failed or Error.
	Failed int32 `json:"failed"`
	// Cancelled runs were ended by a person, or by a change of their pipeline.
	// +optional
	Cancelled int32 `json:"cancelled"`
	// Superseded runs were overtaken by a newer build.
	// +optional
	Superseded int32 `json:"superseded"`
	// Waiting runs are those that are Pending or Held, for the table that kubectl prints.
	// +optional
	Waiting int32 `json:"waiting"`
	// Active runs are those that are Submitted or Running, for the same table.
	// +optional
	Active int32 `json:"active"`
	// Skipped counts pipelines that were not triggered; the decision of each
	// tells why.
	Skipped int32 `json:"skipped"`
	// Progress is "triggered/total", for the table that kubectl prints: runs
	// whose Workflow exists or has existed, of all runs.
	// +optional
	Progress string `json:"progress,omitempty"`
}

// CiBuildStatus is written by Penstock and, for phase, artifacts, startedAt and
// finishedAt, by whatever runs the build. An external system finishes a build by
// patching phase and artifacts; that is all that it needs.
//
// +kubebuilder:validation:XValidation:rule="!(self.phase == 'Succeeded') || (has(self.artifacts) && size(self.artifacts) > 0)",message="artifacts must hold at least one image when phase is Succeeded"
// +kubebuilder:validation:XValidation:rule="!(oldSelf.phase in ['Succeeded','Failed','Error','Cancelled']) || self.phase == oldSelf.phase",message="phase is terminal and cannot change: create a new CiBuild instead"
// +kubebuilder:validation:XValidation:rule="oldSelf.phase != 'Succeeded' || (has(self.artifacts) && self.artifacts == oldSelf.artifacts)",message="artifacts cannot change once phase is Succeeded"
type CiBuildStatus struct {
	// Phase is where the build stands.
	// +kubebuilder:default=Pending
	// +optional
	Phase BuildPhase `json:"phase,omitempty"`

	// Reason is why the phase is what it is, in one CamelCase word, where whoever runs the
	// build says so.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^([A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?)?$`
	Reason string `json:"reason,omitempty"`

	// Message says the same for people.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`

	// Artifacts are what the build produced: at least one when it Succeeded, each
	// image and digest once. Every child is triggered once for each.
	// +optional
	// +listType=map
	// +listMapKey=image
	// +listMapKey=digest
	// +kubebuilder:validation:MaxItems=256
	Artifacts []Artifact `json:"artifacts,omitempty"`

	// WorkflowRef names the Workflow that ran the build, where there is one.
	// +optional
	WorkflowRef *WorkflowReference `json:"workflowRef,omitempty"`

	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// Triggers counts the runs that came of this build.
	// +optional
	Triggers *TriggerSummary `json:"triggers,omitempty"`

	// ObservedGeneration is the generation that the conditions tell of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Complete (the build has ended), Planned, Triggered (every run has a
	// Workflow), Finished (every run has ended).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CiBuild is one build of a CiPipeline.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cib,categories=penstock
// +kubebuilder:printcolumn:name="Pipeline",type=string,JSONPath=`.spec.pipelineRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.status.artifacts[0].image`
// +kubebuilder:printcolumn:name="Runs",type=string,JSONPath=`.status.conditions[?(@.type=="Finished")].reason`
// +kubebuilder:printcolumn:name="Triggered",type=string,JSONPath=`.status.triggers.progress`
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.triggers.waiting`
// +kubebuilder:printcolumn:name="Running",type=integer,JSONPath=`.status.triggers.active`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.triggers.failed`
// +kubebuilder:printcolumn:name="Succeeded",type=integer,JSONPath=`.status.triggers.succeeded`,priority=1
// +kubebuilder:printcolumn:name="Cancelled",type=integer,JSONPath=`.status.triggers.cancelled`,priority=1
// +kubebuilder:printcolumn:name="Superseded",type=integer,JSONPath=`.status.triggers.superseded`,priority=1
// +kubebuilder:printcolumn:name="Skipped",type=integer,JSONPath=`.status.triggers.skipped`,priority=1
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.spec.revision`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:printcolumn:name="Ref",type=string,JSONPath=`.spec.ref`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type CiBuild struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec CiBuildSpec `json:"spec"`
	// +kubebuilder:default={phase: "Pending"}
	// +optional
	Status CiBuildStatus `json:"status,omitempty"`
}

// CiBuildList is a list of CiBuilds.
//
// +kubebuilder:object:root=true
type CiBuildList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CiBuild `json:"items"`
}

// IsTerminal tells whether the build has ended.
func (p BuildPhase) IsTerminal() bool {
	switch p {
	case BuildSucceeded, BuildFailed, BuildError, BuildCancelled:
		return true
	default:
		return false
	}
}

// Cause is why the build exists; API where it does not say.
func (b *CiBuild) Cause() CauseType {
	if b.Spec.Cause == nil {
		return CauseAPI
	}
	return b.Spec.Cause.Type
}
