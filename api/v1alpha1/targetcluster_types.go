package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SecretKeyReference names one key of a Secret in the namespace of Penstock itself.
type SecretKeyReference struct {
	// Name of the Secret, in the namespace that Penstock runs in.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// Key of the Secret's data.
	// +optional
	// +kubebuilder:default=kubeconfig
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// TargetClusterSpec says how a cluster is reached.
//
// +kubebuilder:validation:XValidation:rule="[has(self.kubeconfigSecretRef), has(self.inCluster) && self.inCluster, has(self.virtual) && self.virtual].filter(given, given).size() == 1",message="set exactly one of kubeconfigSecretRef, inCluster: true and virtual: true"
type TargetClusterSpec struct {
	// KubeconfigSecretRef names the Secret that holds the cluster's kubeconfig. A
	// kubeconfig that runs a program or names a file is refused.
	// +optional
	KubeconfigSecretRef *SecretKeyReference `json:"kubeconfigSecretRef,omitempty"`

	// InCluster true means the cluster that Penstock runs in, with Penstock's own account.
	// +optional
	InCluster bool `json:"inCluster,omitempty"`

	// Virtual true means that there is no API server: the cluster is never contacted.
	// +optional
	Virtual bool `json:"virtual,omitempty"`

	// Suspend true means that the cluster is not contacted for now.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ClusterPhase is how a cluster does.
//
// +kubebuilder:validation:Enum=Healthy;Degraded;Unreachable;Unauthorized;Virtual;Unknown
type ClusterPhase string

// The phases of a cluster.
const (
	// ClusterHealthy: it answers, and accepts the credentials.
	ClusterHealthy ClusterPhase = "Healthy"
	// ClusterDegraded: it answers, but is not ready, or grants no rights.
	ClusterDegraded ClusterPhase = "Degraded"
	// ClusterUnreachable: it has not answered twice, or its kubeconfig is unusable.
	ClusterUnreachable ClusterPhase = "Unreachable"
	// ClusterUnauthorized: it refuses the credentials.
	ClusterUnauthorized ClusterPhase = "Unauthorized"
	// ClusterVirtual: it is never contacted.
	ClusterVirtual ClusterPhase = "Virtual"
	// ClusterUnknown: it was not probed yet, or is suspended.
	ClusterUnknown ClusterPhase = "Unknown"
)

// Reasons of a cluster's phase and of its condition Ready, beside Suspended and Forbidden.
// All but the first three are classes of errors.
const (
	// ReasonClusterHealthy: the cluster answers.
	ReasonClusterHealthy Reason = "Healthy"
	// ReasonClusterVirtual: the cluster is virtual, and is never contacted.
	ReasonClusterVirtual Reason = "Virtual"
	// ReasonNotProbed: no probe has ended yet.
	ReasonNotProbed Reason = "NotProbed"

	// ReasonDNS: the name of its address is not found.
	ReasonDNS Reason = "DNS"
	// ReasonRefused: nothing listens at its address.
	ReasonRefused Reason = "Refused"
	// ReasonTimeout: it does not answer in time.
	ReasonTimeout Reason = "Timeout"
	// ReasonTLS: its certificate is not trusted, or TLS fails otherwise.
	ReasonTLS Reason = "TLS"
	// ReasonUnauthorized: it does not accept the credentials.
	ReasonUnauthorized Reason = "Unauthorized"
	// ReasonNotReady: it answers that it is not ready.
	ReasonNotReady Reason = "NotReady"
	// ReasonBadKubeconfig: the Secret is missing, or what it holds is not used.
	ReasonBadKubeconfig Reason = "BadKubeconfig"
)

// Reasons of a cluster's condition LaneOpen: why nothing is triggered there, beside the
// classes of errors, Virtual and Suspended.
const (
	// ReasonLaneOpen: the lane is open.
	ReasonLaneOpen Reason = "LaneOpen"
	// ReasonClusterChanged: another cluster answers than the one where the lane's Workflows are.
	ReasonClusterChanged Reason = "ClusterChanged"
	// ReasonClusterTaken: another TargetCluster names the same cluster.
	ReasonClusterTaken Reason = "ClusterTaken"
	// ReasonClusterIsHome: it is the cluster that Penstock runs in.
	ReasonClusterIsHome Reason = "ClusterIsHome"
	// ReasonClusterUnknown: there is no TargetCluster of this name.
	ReasonClusterUnknown Reason = "ClusterUnknown"
)

// ClusterPermissions are the kinds that Penstock may list in all namespaces of a cluster,
// and those it may not, of the kinds that may be shown.
type ClusterPermissions struct {
	// Allowed kinds, such as deployments.apps, sorted.
	// +optional
	// +listType=set
	Allowed []string `json:"allowed,omitempty"`

	// Denied kinds, sorted.
	// +optional
	// +listType=set
	Denied []string `json:"denied,omitempty"`
}

// TargetClusterStatus is written by Penstock alone: when something changes, and every
// five minutes.
type TargetClusterStatus struct {
	// Phase is how the cluster does. It takes two failed probes in a row to leave Healthy,
	// and one that succeeds to return.
	// +optional
	Phase ClusterPhase `json:"phase,omitempty"`

	// Reason is Healthy, or the class of the error.
	// +optional
	Reason string `json:"reason,omitempty"`

	// Message says what is wrong and what to do.
	// +optional
	Message string `json:"message,omitempty"`

	// Version of Kubernetes, such as v1.37.2.
	// +optional
	Version string `json:"version,omitempty"`

	// LatencyMillis is how long the last written probe took, in milliseconds.
	// +optional
	LatencyMillis int64 `json:"latencyMillis,omitempty"`

	// Since is when the cluster came into this phase; for a failure, when the first failed
	// probe began.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// CheckedAt is when the last written probe ended. Later ones had the same result.
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`

	// Permissions are what Penstock may list there, as asked now and then.
	// +optional
	Permissions *ClusterPermissions `json:"permissions,omitempty"`

	// Conditions: Ready, and LaneOpen while runs or builds have something to do there.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TargetCluster is a cluster that Penstock watches the health of, and shows resources of.
// Its labels select it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=tc,categories=penstock
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Latency",type=integer,JSONPath=`.status.latencyMillis`,description="of the last probe, in milliseconds"
// +kubebuilder:printcolumn:name="Lane open",type=string,JSONPath=`.status.conditions[?(@.type=="LaneOpen")].status`,description="whether runs and builds are triggered there; empty while there are none"
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.since`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
type TargetCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec TargetClusterSpec `json:"spec"`
	// +optional
	Status TargetClusterStatus `json:"status,omitempty"`
}

// TargetClusterList is a list of TargetClusters.
//
// +kubebuilder:object:root=true
type TargetClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TargetCluster `json:"items"`
}
