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

// ConcurrencyPolicy says what happens to a build while another one runs in the same
// pipeline. Builds are ordered by their creation.
//
// +kubebuilder:validation:Enum=Queue;Latest;Replace;Allow
type ConcurrencyPolicy string

// The concurrency policies.
const (
	// ConcurrencyQueue: one build at a time, in the order of the builds.
	ConcurrencyQueue ConcurrencyPolicy = "Queue"
	// ConcurrencyLatest: one build at a time; of the builds that wait only the newest
	// stays, the others are Superseded.
	ConcurrencyLatest ConcurrencyPolicy = "Latest"
	// ConcurrencyReplace: as Latest, and the build that runs is stopped; the newer one
	// starts when it has ended.
	ConcurrencyReplace ConcurrencyPolicy = "Replace"
	// ConcurrencyAllow: any number at once, in no order.
	ConcurrencyAllow ConcurrencyPolicy = "Allow"
)

// ArtifactsMode says how many runs a build with several artifacts becomes.
//
// +kubebuilder:validation:Enum=Each;All
type ArtifactsMode string

// The modes.
const (
	// ArtifactsEach: one run for each digest that passes the filter.
	ArtifactsEach ArtifactsMode = "Each"
	// ArtifactsAll: one run that is given all artifacts that pass the filter.
	ArtifactsAll ArtifactsMode = "All"
)

// ParentReference names what a CdPipeline hangs below, in the same namespace.
type ParentReference struct {
	Kind ParentKind `json:"kind"`

	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// ClusterReference names a TargetCluster.
type ClusterReference struct {
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

	// ClusterRef is the TargetCluster where the Workflows of new runs are created, in a
	// namespace of the same name as the pipeline's; the templates and the service account are
	// those of that namespace there. Runs stay in the cluster that they were planned for. Absent means
	// the cluster that Penstock runs in.
	// +optional
	ClusterRef *ClusterReference `json:"clusterRef,omitempty"`

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
	// namespace, pipeline, revision, ref, cause} and pipeline {name, namespace,
	// application, environment}. The pipeline is triggered where it yields true.
	// Empty means always.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Filter string `json:"filter,omitempty"`

	// Artifacts is Each (one run for each digest) or All (one run that is given all
	// artifacts, as a JSON list in the parameter artifacts).
	// +kubebuilder:default=Each
	// +optional
	Artifacts ArtifactsMode `json:"artifacts,omitempty"`

	// ConcurrencyPolicy is what happens to a build while another one runs in this
	// pipeline: Queue (one at a time, in the order of the builds), Latest (one at a
	// time; of those that wait only the newest stays), Replace (as Latest, and what runs
	// is stopped) or Allow (no order).
	// +kubebuilder:default=Queue
	// +optional
	ConcurrencyPolicy ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`

	// Hold true means that new builds are planned, and that their runs wait until Hold
	// is false again.
	// +optional
	Hold bool `json:"hold,omitempty"`

	// Suspend true means that new builds are skipped, and that what still waits is
	// cancelled at once.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// Windows are when PRE and DEPLOY may start: while a window that allows is open, where
	// there are such, and while none that denies is. What has to wait is Held. A RunRequest
	// with action Resume lets it go on all the same.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	Windows []Window `json:"windows,omitempty"`

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
	// succeeded, until a RunRequest resumes it. On the first stage the whole run waits.
	// +kubebuilder:default=Automatic
	// +optional
	Trigger TriggerMode `json:"trigger,omitempty"`

	// Timeout is how long the Workflow may run before Argo stops it; the stage then ends
	// as Failed/TimedOut. From 1s to 720h, such as 90s or 1h30m. Empty means the
	// template's own.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}([.][0-9]{1,9})?s)?([0-9]{1,9}ms)?$') && duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="timeout must be a duration from 1s to 720h, such as 90s or 1h30m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// Retries says how often the stage is tried again after its Workflow failed.
	// +optional
	Retries *Retries `json:"retries,omitempty"`

	// Labels are put on the stage's Workflow, such as the
	// workflows.argoproj.io/controller-instanceid of the Argo controller that is to run it.
	// They go before those that are set for all Workflows (WORKFLOW_LABELS). Those that
	// Penstock and Argo keep for themselves are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) <= 317 && key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="labels: a key is an optional DNS name and a slash, then at most 63 letters, digits, dashes, underscores and dots"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('penstock.dev/') && !(key in ['app.kubernetes.io/managed-by','workflows.argoproj.io/phase','workflows.argoproj.io/completed','workflows.argoproj.io/workflow-archiving-status']))",message="labels: penstock.dev/*, app.kubernetes.io/managed-by and the labels in which Argo keeps a Workflow's state are set by Penstock and Argo"
	Labels map[string]LabelValue `json:"labels,omitempty"`
}

// LabelValue is the value of a label; it may be empty.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`
type LabelValue string

// Retries says how often a stage is tried again, each time with a new Workflow.
type Retries struct {
	// Max is the number of retries after the first attempt, from 0 to 20.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	Max int32 `json:"max"`

	// Backoff is the pause before the first retry; it doubles with each further one, up
	// to an hour. From 0s to 1h, such as 30s or 5m. Empty means 30s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}([.][0-9]{1,9})?s)?([0-9]{1,9}ms)?$') && duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="backoff must be a duration from 0s to 1h, such as 30s or 5m"
	Backoff *metav1.Duration `json:"backoff,omitempty"`
}

// WorkflowSpec says which template a Workflow runs and with what.
type WorkflowSpec struct {
	// TemplateRef names the WorkflowTemplate or ClusterWorkflowTemplate.
	TemplateRef TemplateReference `json:"templateRef"`

	// Parameters are passed to the Workflow beside image, digest, artifacts, revision,
	// application, environment, stage and build, which Penstock sets. A revision or
	// environment that nobody set is not passed, so that the template's default holds.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(p, !(p.name in ['image','digest','artifacts','revision','application','environment','stage','build']))",message="image, digest, artifacts, revision, application, environment, stage and build are set by Penstock: rename the parameter"
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
	// Name is the template's parameter: letters, digits, _ and -.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-a-zA-Z0-9_]+$`
	Name string `json:"name"`

	// Value is passed as it is written here; Argo evaluates expressions in it, such as
	// {{workflow.name}}. A parameter without a value is not passed, so that the template's
	// default holds; the empty text is a value.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Value *string `json:"value,omitempty"`
}

// LastRun is the newest run of a CdPipeline.
type LastRun struct {
	// Run is the run's number, by which a RunRequest names it.
	// +optional
	Run int64 `json:"run,omitempty"`
	// BuildName is the CiBuild that it came of.
	BuildName string `json:"buildName"`
	Image     string `json:"image"`
	Digest    string `json:"digest"`
	// Stage is PRE, DEPLOY or POST.
	Stage string `json:"stage"`
	// Phase is the state of that stage's task, such as Submitted or Succeeded.
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

// Deployed is the last artifact of one repository whose DEPLOY succeeded.
type Deployed struct {
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// BuildName is the CiBuild that it came of.
	BuildName string `json:"buildName"`
	// At is when its DEPLOY succeeded.
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

	// Deployed is what is deployed: of each repository the last artifact whose DEPLOY
	// succeeded, newest first, at most 64 repositories.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Deployed []Deployed `json:"deployed,omitempty"`

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
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.application`,priority=1
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Parent",type=string,JSONPath=`.spec.parentRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Triggered",type=string,JSONPath=`.status.conditions[?(@.type=="Triggered")].reason`
// +kubebuilder:printcolumn:name="Stage",type=string,JSONPath=`.status.lastRun.stage`,priority=1
// +kubebuilder:printcolumn:name="Last Phase",type=string,JSONPath=`.status.lastRun.phase`
// +kubebuilder:printcolumn:name="Changed",type=date,JSONPath=`.status.lastRun.at`
// +kubebuilder:printcolumn:name="Deployed",type=string,JSONPath=`.status.deployed[0].image`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.deployed[0].at`
// +kubebuilder:printcolumn:name="Build",type=string,JSONPath=`.status.deployed[0].buildName`,priority=1
// +kubebuilder:printcolumn:name="Trigger",type=string,JSONPath=`.spec.trigger`,priority=1
// +kubebuilder:printcolumn:name="Policy",type=string,JSONPath=`.spec.concurrencyPolicy`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.lastRun.message`,priority=1
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
