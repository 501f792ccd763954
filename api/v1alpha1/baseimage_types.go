package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BaseImageSpec says which image is watched, and how what is built on it is rebuilt.
//
// +kubebuilder:validation:XValidation:rule="!has(self.from) || !has(self.pullSecretRef)",message="pullSecretRef is not used with from: no registry is asked for an image that is built here. Remove one of them",fieldPath=".pullSecretRef"
type BaseImageSpec struct {
	// Image is the repository and tag, without a digest and without a scheme, such as
	// docker.io/library/debian:12. Without a tag it is latest.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^(((localhost|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?:[0-9]{1,5})/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127})?$`
	Image string `json:"image"`

	// Interval is how often the registry is asked for the digest, from 10s to 24h. It is not
	// used with from.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}([.][0-9]{1,9})?s)?([0-9]{1,9}ms)?$') && duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="interval must be a duration from 10s to 24h, such as 5m"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// PullSecretRef names a Secret of the type kubernetes.io/dockerconfigjson with the
	// registry's credentials. It is read for each check. Penstock needs the right to read it:
	// bind the ClusterRole penstock-base-images in the namespace.
	// +optional
	PullSecretRef *LocalSecretReference `json:"pullSecretRef,omitempty"`

	// From says that the image is built here. The digest is then that of the newest build, and
	// no registry is asked.
	// +optional
	From *BaseImageSource `json:"from,omitempty"`

	// AllowedNamespaces are those whose CiPipelines may be rebuilt when the image changes,
	// beside its own; * stands for all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^([*]|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$`
	AllowedNamespaces []string `json:"allowedNamespaces,omitempty"`

	// Rebuild bounds the wave of builds that a change starts.
	// +optional
	// +kubebuilder:default={}
	Rebuild Rebuild `json:"rebuild,omitempty"`

	// Suspend true means that the image is not checked, and that nothing is rebuilt.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// BaseImageSource is what builds a BaseImage.
type BaseImageSource struct {
	// PipelineRef names the CiPipeline, in the same namespace. Its artifacts of the image's
	// repository count, whatever their tag.
	PipelineRef PipelineReference `json:"pipelineRef"`
}

// Rebuild bounds a wave.
type Rebuild struct {
	// MaxParallel is how many builds of a wave are under way at once.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxParallel int32 `json:"maxParallel,omitempty"`

	// MaxFailures is how many builds of a wave may fail: with one more it stops.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	MaxFailures *int32 `json:"maxFailures,omitempty"`

	// Settle is for how long after a change further ones are waited for: all of them make one
	// wave. From 0s to 1h.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}([.][0-9]{1,9})?s)?([0-9]{1,9}ms)?$') && duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="settle must be a duration from 0s to 1h, such as 30s"
	Settle *metav1.Duration `json:"settle,omitempty"`
}

// WaveState is where a wave stands.
//
// +kubebuilder:validation:Enum=Running;Stopped;Succeeded;Failed;Cancelled
type WaveState string

// The states of a wave.
const (
	// WaveRunning: builds are under way or to come.
	WaveRunning WaveState = "Running"
	// WaveStopped: too many builds have failed; a RunRequest resumes or cancels it.
	WaveStopped WaveState = "Stopped"
	// WaveSucceeded: every build has succeeded, or was skipped.
	WaveSucceeded WaveState = "Succeeded"
	// WaveFailed: it has ended, and some builds have failed.
	WaveFailed WaveState = "Failed"
	// WaveCancelled: a person has given it up.
	WaveCancelled WaveState = "Cancelled"
)

// BaseImageWave is the newest wave of builds.
type BaseImageWave struct {
	// Number counts the waves of a BaseImage, from 1.
	Number int64 `json:"number"`
	// Digest is what is built upon.
	Digest string `json:"digest"`
	// Total is how many CiPipelines the wave is for.
	Total int32 `json:"total"`
	// Pending builds have not begun.
	Pending int32 `json:"pending"`
	// Running builds have begun.
	Running int32 `json:"running"`
	// Succeeded builds have ended well.
	Succeeded int32 `json:"succeeded"`
	// Failed builds have ended otherwise.
	Failed int32 `json:"failed"`
	// Skipped pipelines are not built, such as suspended ones.
	Skipped int32 `json:"skipped"`
	// State is where the wave stands.
	State WaveState `json:"state"`
	// Progress is how many have ended of all, such as 97/100.
	Progress string `json:"progress"`
}

// BaseImageStatus is written by Penstock alone: when something changes, and every five minutes
// while the image is checked.
type BaseImageStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Digest is what the tag stands for, as the last check that succeeded has found. Of an
	// image for several platforms it is that of the index.
	// +optional
	Digest string `json:"digest,omitempty"`

	// PreviousDigest is what it stood for before.
	// +optional
	PreviousDigest string `json:"previousDigest,omitempty"`

	// CheckedAt is when the last written check succeeded. Later ones had the same result.
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`

	// NextCheckAt is when the check after the last written one was to be.
	// +optional
	NextCheckAt *metav1.Time `json:"nextCheckAt,omitempty"`

	// Dependents is how many CiPipelines are built on the image, of the namespaces that it
	// allows.
	// +optional
	Dependents int32 `json:"dependents"`

	// Wave is the newest wave of builds.
	// +optional
	Wave *BaseImageWave `json:"wave,omitempty"`

	// Conditions: Ready (the digest is known and up to date).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BaseImage is an image that others are built on: when it changes, they are rebuilt in a wave.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bi,categories=penstock
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.image`
// +kubebuilder:printcolumn:name="Digest",type=string,JSONPath=`.status.digest`
// +kubebuilder:printcolumn:name="Checked",type=date,JSONPath=`.status.checkedAt`
// +kubebuilder:printcolumn:name="Dependents",type=integer,JSONPath=`.status.dependents`
// +kubebuilder:printcolumn:name="Wave",type=string,JSONPath=`.status.wave.progress`,description="how many builds of the newest wave have ended, of how many"
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.wave.state`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type BaseImage struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec BaseImageSpec `json:"spec"`
	// +optional
	Status BaseImageStatus `json:"status,omitempty"`
}

// BaseImageList is a list of BaseImages.
//
// +kubebuilder:object:root=true
type BaseImageList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BaseImage `json:"items"`
}
