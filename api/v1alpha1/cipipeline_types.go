package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiPipelineSpec says what is built.
//
// +kubebuilder:validation:XValidation:rule="!has(self.baseImages) || size(self.baseImages) == 0 || has(self.workflow)",message="baseImages needs workflow: Penstock rebuilds what it can build itself",fieldPath=".baseImages"
type CiPipelineSpec struct {
	// Application groups pipelines in the trigger view. Empty means the
	// pipeline's own name.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Application string `json:"application,omitempty"`

	// Source is the repository that the builds come from.
	// +optional
	Source *Source `json:"source,omitempty"`

	// Suspend true means that finished builds of this pipeline trigger nothing;
	// each child gets the decision Skipped/ParentSuspended.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// BuildHistory is how many CiBuilds that have ended are kept; older ones are deleted
	// once every run that came of them has ended. Without it all are kept.
	// +optional
	BuildHistory *BuildHistory `json:"buildHistory,omitempty"`

	// Workflow is what builds run. Without it builds run elsewhere: whatever runs one
	// patches the status of its CiBuild.
	// +optional
	Workflow *BuildWorkflow `json:"workflow,omitempty"`

	// ClusterRef is the TargetCluster where the Workflows of new builds are created, in a
	// namespace of the same name as the pipeline's. Absent means the cluster that Penstock runs
	// in.
	// +optional
	ClusterRef *ClusterReference `json:"clusterRef,omitempty"`

	// Outputs are the names of the global output parameters in which a build's Workflow
	// says what it produced.
	// +optional
	// +kubebuilder:default={}
	Outputs BuildOutputs `json:"outputs,omitempty"`

	// BaseImages are the images that this one is built on: when one changes, a wave of
	// rebuilds makes one CiBuild of this pipeline. It needs workflow.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	BaseImages []BaseImageReference `json:"baseImages,omitempty"`

	// ConcurrencyPolicy is what happens to a build while another one of the same ref runs:
	// Latest (one at a time; of those that wait only the newest stays), Queue (one at a
	// time, in their order), Replace (as Latest, and what runs is stopped) or Allow (no
	// order). It is about builds that run here.
	// +kubebuilder:default=Latest
	// +optional
	ConcurrencyPolicy ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`
}

// BuildWorkflow says which template a build's Workflow runs and with what.
type BuildWorkflow struct {
	// TemplateRef names the WorkflowTemplate or ClusterWorkflowTemplate.
	TemplateRef TemplateReference `json:"templateRef"`

	// Parameters are passed to the Workflow beside url, revision, ref, build, cause and
	// baseImages (a JSON list of objects with name, image and digest), which Penstock sets.
	// One that nobody set is not passed, so that the template's default holds.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(p, !(p.name in ['url','revision','ref','build','cause','baseImages']))",message="url, revision, ref, build, cause and baseImages are set by Penstock: rename the parameter"
	Parameters []Parameter `json:"parameters,omitempty"`

	// ServiceAccountName is the account that the Workflow runs as. Empty means
	// the one that Argo gives.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// BuildOutputs are the names of global output parameters (globalName in the template).
type BuildOutputs struct {
	// Image is the parameter that holds the image: repository and tag.
	// +optional
	// +kubebuilder:default=image
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-a-zA-Z0-9_]+$`
	Image string `json:"image,omitempty"`

	// Digest is the parameter that holds the digest, such as sha256:….
	// +optional
	// +kubebuilder:default=digest
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-a-zA-Z0-9_]+$`
	Digest string `json:"digest,omitempty"`

	// Artifacts is the parameter that holds a JSON list of objects with image and digest,
	// for builds with several artifacts. Where the Workflow has it, it goes before Image and
	// Digest.
	// +optional
	// +kubebuilder:default=artifacts
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-a-zA-Z0-9_]+$`
	Artifacts string `json:"artifacts,omitempty"`
}

// BaseImageReference names a BaseImage.
type BaseImageReference struct {
	// Name of the BaseImage.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// Namespace of the BaseImage, which must allow this one in its allowedNamespaces.
	// Empty means the pipeline's own.
	// +optional
	// +kubebuilder:default=""
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
	Namespace string `json:"namespace,omitempty"`
}

// CiPipelineStatus is written by Penstock alone.
type CiPipelineStatus struct {
	// ObservedGeneration is the generation of the spec that the conditions are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// LastBuild is the newest build.
	// +optional
	LastBuild *LastBuild `json:"lastBuild,omitempty"`

	// Conditions: Ready (builds can run).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LastBuild is the newest CiBuild of a CiPipeline.
type LastBuild struct {
	// Name of the CiBuild.
	Name string `json:"name"`
	// Phase is where it stands.
	Phase BuildPhase `json:"phase"`
	// Image is the first artifact's, where it has one.
	// +optional
	Image string `json:"image,omitempty"`
	// CreatedAt is when the CiBuild was created.
	CreatedAt metav1.Time `json:"createdAt"`
}

// BuildHistory is how many builds that have ended are kept.
type BuildHistory struct {
	// Successful is how many builds that Succeeded are kept.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Successful int32 `json:"successful"`

	// Failed is how many builds that Failed, or ended as Error or Cancelled, are kept.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Failed int32 `json:"failed"`
}

// Source is a repository and the revision that is built when a build names none.
type Source struct {
	// URL of the repository, without credentials.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// Revision is a branch, tag or commit: what a build that names none builds, and the
	// branch or tag of which a pushed commit is built. Empty means every branch.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`
}

// CiPipeline is what CiBuilds are builds of, and what CdPipelines hang below.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cip,categories=penstock
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.application`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Last Build",type=string,JSONPath=`.status.lastBuild.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.lastBuild.phase`
// +kubebuilder:printcolumn:name="Suspend",type=boolean,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type CiPipeline struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec CiPipelineSpec `json:"spec,omitempty"`
	// +optional
	Status CiPipelineStatus `json:"status,omitempty"`
}

// CiPipelineList is a list of CiPipelines.
//
// +kubebuilder:object:root=true
type CiPipelineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CiPipeline `json:"items"`
}
