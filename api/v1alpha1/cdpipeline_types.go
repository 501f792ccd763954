package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TriggerMode says who starts a pipeline or a stage.
//
// +kubebuilder:validation:Enum=Automatic;Manual
type TriggerMode string

// The trigger modes.
const (
	TriggerAutomatic TriggerMode = "Automatic"
	TriggerManual    TriggerMode = "Manual"
)

// ParentKind is the kind of what a CdPipeline hangs below.
//
// +kubebuilder:validation:Enum=CiPipeline;CdPipeline
type ParentKind string

// The kinds of parent.
const (
	ParentCiPipeline ParentKind = "CiPipeline"
	ParentCdPipeline ParentKind = "CdPipeline"
)

// ParentReference names what a CdPipeline hangs below, in the same namespace.
type ParentReference struct {
	Kind ParentKind `json:"kind"`

	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// CdPipelineSpec says what is deployed, when, and through which stages.
type CdPipelineSpec struct {
	// Application is the application that is deployed. Empty means the pipeline's
	// own name.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Application string `json:"application,omitempty"`

	// Environment is where it is deployed, such as staging.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Environment string `json:"environment,omitempty"`

	// ParentRef is what triggers this pipeline: a CiPipeline's finished build, or
	// the success of another CdPipeline's last stage.
	ParentRef ParentReference `json:"parentRef"`

	// Trigger Manual means that a finished parent does not start this pipeline.
	// +kubebuilder:default=Automatic
	// +optional
	Trigger TriggerMode `json:"trigger,omitempty"`

	// Priority orders the queue: higher goes first.
	// +optional
	Priority int32 `json:"priority,omitempty"`

	// Filter is a CEL expression over artifact {image, digest}, build {name,
	// namespace, pipeline, revision, cause} and pipeline {name, namespace,
	// application, environment}. The pipeline is triggered where it yields true.
	// Empty means always.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Filter string `json:"filter,omitempty"`

	// Suspend true means that nothing is triggered, and that what still waits for
	// a slot is cancelled.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// PreDeploy runs before Deploy.
	// +optional
	PreDeploy *StageSpec `json:"preDeploy,omitempty"`

	// Deploy is the deployment itself.
	Deploy StageSpec `json:"deploy"`

	// PostDeploy runs after Deploy succeeded.
	// +optional
	PostDeploy *StageSpec `json:"postDeploy,omitempty"`
}

// StageSpec is one stage of a CdPipeline.
type StageSpec struct {
	// Workflow is what the stage runs.
	Workflow WorkflowSpec `json:"workflow"`

	// Trigger Manual means that the stage waits although the one before it
	// succeeded. On the first stage it makes the whole pipeline wait.
	// +kubebuilder:default=Automatic
	// +optional
	Trigger TriggerMode `json:"trigger,omitempty"`
}

// WorkflowSpec says which template a Workflow runs and with what.
type WorkflowSpec struct {
	// TemplateRef names the WorkflowTemplate or ClusterWorkflowTemplate.
	TemplateRef TemplateReference `json:"templateRef"`

	// Parameters are passed to the Workflow beside image, digest, revision,
	// application, environment, stage and build, which Penstock sets.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(p, !(p.name in ['image','digest','revision','application','environment','stage','build']))",message="image, digest, revision, application, environment, stage and build are set by Penstock: rename the parameter"
	Parameters []Parameter `json:"parameters,omitempty"`

	// ServiceAccountName is the account that the Workflow runs as. Empty means
	// the one that Argo gives.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// TemplateReference names an Argo template.
type TemplateReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// ClusterScope true means a ClusterWorkflowTemplate.
	// +optional
	ClusterScope bool `json:"clusterScope,omitempty"`
}

// Parameter is one argument of a Workflow.
type Parameter struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`

	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Value string `json:"value,omitempty"`
}

// LastRun is the newest run of a CdPipeline.
type LastRun struct {
	// BuildName is the CiBuild that it came of.
	BuildName string `json:"buildName"`
	Image     string `json:"image"`
	Digest    string `json:"digest"`
	// Stage is PRE, DEPLOY or POST.
	Stage string `json:"stage"`
	// Phase is the state of that stage's row, such as Submitted or Succeeded.
	Phase string `json:"phase"`
	// WorkflowName is the Workflow of that stage.
	// +optional
	WorkflowName string `json:"workflowName,omitempty"`
	// Message says why, where the phase alone does not.
	// +optional
	Message string `json:"message,omitempty"`
	// At is when the phase was reached.
	At metav1.Time `json:"at"`
}

// CdPipelineStatus is written by Penstock alone.
type CdPipelineStatus struct {
	// ObservedGeneration is the generation that the conditions tell of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// LastRun is the newest run.
	// +optional
	LastRun *LastRun `json:"lastRun,omitempty"`

	// Conditions: Ready (the pipeline can be triggered), Triggered (what was
	// decided at the last finished build, and why).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CdPipeline deploys what its parent produced.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cdp,categories=penstock
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.application`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Parent",type=string,JSONPath=`.spec.parentRef.name`
// +kubebuilder:printcolumn:name="Trigger",type=string,JSONPath=`.spec.trigger`
// +kubebuilder:printcolumn:name="Stage",type=string,JSONPath=`.status.lastRun.stage`,priority=1
// +kubebuilder:printcolumn:name="Last Phase",type=string,JSONPath=`.status.lastRun.phase`
// +kubebuilder:printcolumn:name="Triggered",type=string,JSONPath=`.status.conditions[?(@.type=="Triggered")].reason`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.parentRef.kind`
// +kubebuilder:selectablefield:JSONPath=`.spec.parentRef.name`
// +kubebuilder:validation:XValidation:rule="!(self.spec.parentRef.kind == 'CdPipeline' && self.spec.parentRef.name == self.metadata.name)",message="spec.parentRef names the pipeline itself: a pipeline cannot be its own parent"
type CdPipeline struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   CdPipelineSpec   `json:"spec"`
	Status CdPipelineStatus `json:"status,omitempty"`
}

// CdPipelineList is a list of CdPipelines.
//
// +kubebuilder:object:root=true
type CdPipelineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CdPipeline `json:"items"`
}
