package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiPipelineSpec says what is built.
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

	// Revision is a branch, tag or commit.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`
}

// CiPipeline is what CiBuilds are builds of, and what CdPipelines hang below.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=cip,categories=penstock
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.application`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source.url`
// +kubebuilder:printcolumn:name="Suspend",type=boolean,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type CiPipeline struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec CiPipelineSpec `json:"spec,omitempty"`
}

// CiPipelineList is a list of CiPipelines.
//
// +kubebuilder:object:root=true
type CiPipelineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CiPipeline `json:"items"`
}
