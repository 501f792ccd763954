package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReceiverType is who sends to a Receiver.
//
// +kubebuilder:validation:Enum=github;gitlab;harbor;distribution;cdevents;generic;unsigned
type ReceiverType string

// The types of Receivers.
const (
	ReceiverGitHub       ReceiverType = "github"
	ReceiverGitLab       ReceiverType = "gitlab"
	ReceiverHarbor       ReceiverType = "harbor"
	ReceiverDistribution ReceiverType = "distribution"
	ReceiverCDEvents     ReceiverType = "cdevents"
	ReceiverGeneric      ReceiverType = "generic"
	ReceiverUnsigned     ReceiverType = "unsigned"
)

// SecretPreviousToken is the key of a Receiver's Secret under which the token before stays valid
// while the senders change to the one under SecretToken.
const SecretPreviousToken = "previousToken"

// DefaultReceiverRate is how many deliveries a Receiver takes in a minute where it does not say.
const DefaultReceiverRate = 6000

// ReceiverMapping are CEL expressions over body, the payload, that yield texts. Pipeline or
// build say which build it is about; without them, image brings checks of that base image
// forward.
//
// +kubebuilder:validation:XValidation:rule="has(self.pipeline) || has(self.build) || has(self.image)",message="mapping must have pipeline, build or image: else a delivery is about nothing"
type ReceiverMapping struct {
	// Pipeline is the name of a CiPipeline.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Pipeline string `json:"pipeline,omitempty"`

	// Build is the name of a CiBuild. With pipeline, it is created where there is none.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Build string `json:"build,omitempty"`

	// Revision is the commit that is built.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Revision string `json:"revision,omitempty"`

	// Ref is the branch or tag that is built.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Ref string `json:"ref,omitempty"`

	// Phase is where the build stands: pending, running, succeeded, failed, error or
	// cancelled, or a word that CI systems have for one of them.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Phase string `json:"phase,omitempty"`

	// Image that the build produced, or that was pushed.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Image string `json:"image,omitempty"`

	// Digest of the image.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Digest string `json:"digest,omitempty"`
}

// ReceiverTarget is an object in the same namespace that deliveries are about.
type ReceiverTarget struct {
	// Kind of the object.
	// +kubebuilder:validation:Enum=CiPipeline;BaseImage
	Kind string `json:"kind"`

	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// ReceiverRateLimit bounds what a Receiver takes.
type ReceiverRateLimit struct {
	// PerMinute is how many deliveries each replica of the server takes in a minute. It answers
	// further ones with 429 and Retry-After.
	// +optional
	// +kubebuilder:default=6000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=600000
	PerMinute int32 `json:"perMinute,omitempty"`
}

// ReceiverSpec says who sends, how that is verified, and what it is about.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != (self.type == 'unsigned')",message="secretRef must name the Secret with the key token, unless type is unsigned, which has none",fieldPath=".secretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.mapping) || self.type in ['generic', 'cdevents']",message="mapping can only be set where type is generic or cdevents: remove it, or change type",fieldPath=".mapping"
// +kubebuilder:validation:XValidation:rule="self.type != 'generic' || has(self.mapping)",message="mapping is needed where type is generic: nothing else tells what a delivery means",fieldPath=".mapping"
// +kubebuilder:validation:XValidation:rule="self.type != 'unsigned' || !has(self.targets) || self.targets.all(target, target.kind == 'BaseImage')",message="targets can only be of the kind BaseImage where type is unsigned: what nobody signed must not start builds",fieldPath=".targets"
type ReceiverSpec struct {
	// Type is who sends.
	Type ReceiverType `json:"type"`

	// SecretRef names the Secret with the key token, and perhaps previousToken, which is valid
	// as well. It is read when something is received.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`

	// Events are the only events that are taken, as the sender spells them. Empty means all
	// that the type knows.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	Events []string `json:"events,omitempty"`

	// Filter is a CEL expression over body, the payload, and event, its name. What does not
	// match is ignored.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Filter string `json:"filter,omitempty"`

	// Mapping tells what a delivery means.
	// +optional
	Mapping *ReceiverMapping `json:"mapping,omitempty"`

	// Targets are the only objects that deliveries are about. Empty means all in the namespace.
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	Targets []ReceiverTarget `json:"targets,omitempty"`

	// RateLimit bounds what is taken.
	// +optional
	// +kubebuilder:default={}
	RateLimit *ReceiverRateLimit `json:"rateLimit,omitempty"`

	// Suspend true means that the server answers every delivery with 503 and Retry-After.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// PerMinute is how many deliveries are taken in a minute.
func (s ReceiverSpec) PerMinute() int {
	if s.RateLimit == nil || s.RateLimit.PerMinute <= 0 {
		return DefaultReceiverRate
	}
	return int(s.RateLimit.PerMinute)
}

// Concerns tells whether deliveries may be about an object.
func (s ReceiverSpec) Concerns(kind, name string) bool {
	for _, target := range s.Targets {
		if target.Kind == kind && target.Name == name {
			return true
		}
	}
	return len(s.Targets) == 0
}

// LastDelivery is what came of the delivery that was worked off last.
type LastDelivery struct {
	// ID is what `kubectl penstock deliveries show` takes.
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`
	// At is when it was received.
	At metav1.Time `json:"at"`
	// Outcome is Built, Reported, CheckWanted, NoMatch, Ignored, Pinged, Duplicate, Malformed,
	// Refused or Failed.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Outcome string `json:"outcome,omitempty"`
	// Message is the outcome for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ReceiverStatus is written by Penstock alone.
type ReceiverStatus struct {
	// Path is where senders send to, at the address of the hooks. Whoever knows it can try:
	// treat it like a password.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Path string `json:"path,omitempty"`

	// ObservedGeneration is the generation that the status tells of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// LastDelivery is what came of the delivery that was worked off last.
	// +optional
	LastDelivery *LastDelivery `json:"lastDelivery,omitempty"`

	// Conditions: Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Receiver takes webhooks of one sender for its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rcv,categories=penstock
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Last",type=date,JSONPath=`.status.lastDelivery.at`
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.status.lastDelivery.outcome`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Path",type=string,JSONPath=`.status.path`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.lastDelivery.message`,priority=1
type Receiver struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ReceiverSpec   `json:"spec"`
	Status ReceiverStatus `json:"status,omitempty"`
}

// ReceiverList is a list of Receivers.
//
// +kubebuilder:object:root=true
type ReceiverList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Receiver `json:"items"`
}
