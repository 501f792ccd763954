package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NotificationEvent is what a policy tells of.
//
// +kubebuilder:validation:Enum=BuildSucceeded;BuildFailed;TriggersCompleted;RunSucceeded;RunFailed;RunCancelled;RunDelayed;RunHeld;ClusterUnreachable;ClusterRecovered;WaveStopped;WaveFinished
type NotificationEvent string

// What a policy can tell of.
const (
	// EventBuildSucceeded: a build has succeeded.
	EventBuildSucceeded NotificationEvent = "BuildSucceeded"
	// EventBuildFailed: a build has failed, or was cancelled.
	EventBuildFailed NotificationEvent = "BuildFailed"
	// EventTriggersCompleted: every run of a build has ended, and nothing below it waits.
	EventTriggersCompleted NotificationEvent = "TriggersCompleted"
	// EventRunSucceeded: all stages of a run have succeeded.
	EventRunSucceeded NotificationEvent = "RunSucceeded"
	// EventRunFailed: a run has failed.
	EventRunFailed NotificationEvent = "RunFailed"
	// EventRunCancelled: a run was cancelled, or a newer build went first.
	EventRunCancelled NotificationEvent = "RunCancelled"
	// EventRunDelayed: the Workflow of a run is refused for now, by a quota or a policy.
	EventRunDelayed NotificationEvent = "RunDelayed"
	// EventRunHeld: a run waits for a person, a hold, a window, a freeze or a template.
	EventRunHeld NotificationEvent = "RunHeld"
	// EventClusterUnreachable: a TargetCluster no longer answers, or refuses the credentials.
	EventClusterUnreachable NotificationEvent = "ClusterUnreachable"
	// EventClusterRecovered: a TargetCluster of which that was told is well again.
	EventClusterRecovered NotificationEvent = "ClusterRecovered"
	// EventWaveStopped: too many rebuilds of a wave have failed, and it waits for a person.
	EventWaveStopped NotificationEvent = "WaveStopped"
	// EventWaveFinished: a wave of rebuilds has ended, well or badly.
	EventWaveFinished NotificationEvent = "WaveFinished"
)

// NotificationSelector says what a policy is about. What is left out selects everything.
type NotificationSelector struct {
	// The labels are those of the CdPipeline; where a build alone is concerned of its
	// CiPipeline, and of a TargetCluster.
	metav1.LabelSelector `json:",inline"`

	// Applications are names of applications.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	Applications []string `json:"applications,omitempty"`

	// Environments are those of CdPipelines.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	Environments []string `json:"environments,omitempty"`

	// Pipelines are names of CdPipelines.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	Pipelines []string `json:"pipelines,omitempty"`
}

// GroupBy is what is told together.
//
// +kubebuilder:validation:Enum=Build;Pipeline;Application;Environment;None
type GroupBy string

// What is told together.
const (
	GroupByBuild       GroupBy = "Build"
	GroupByPipeline    GroupBy = "Pipeline"
	GroupByApplication GroupBy = "Application"
	GroupByEnvironment GroupBy = "Environment"
	// GroupByNone: each event by itself; equal ones are counted within the interval.
	GroupByNone GroupBy = "None"
)

// NotificationGroup says what is told together, and when.
type NotificationGroup struct {
	// By is what is told together. Build is one message for each build, which is told when
	// runs begin to fail and when all is done; a channel that cannot change what it has sent
	// is told when all is done.
	// +optional
	// +kubebuilder:default=Build
	By GroupBy `json:"by,omitempty"`

	// Wait is how long the first message of a group waits for others.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}([.][0-9]{1,9})?s)?([0-9]{1,9}ms)?$') && duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="wait must be a duration from 0s to 1h, such as 10s"
	Wait *metav1.Duration `json:"wait,omitempty"`

	// Interval is the least time between two messages of one group. With Build, that is while
	// the build's runs go on; with all others the group ends with it.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}([.][0-9]{1,9})?s)?([0-9]{1,9}ms)?$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="interval must be a duration from 1s to 24h, such as 5m"
	Interval *metav1.Duration `json:"interval,omitempty"`
}

// NotificationTemplate makes texts of its own. Each field is a CEL expression that yields a
// string, of the variable message.
type NotificationTemplate struct {
	// Title is the one line that a message begins with.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Title string `json:"title,omitempty"`
}

// NotificationPolicySpec says what is told, and where.
//
// +kubebuilder:validation:XValidation:rule="has(self.events) != has(self.on)",message="set exactly one of events and on: what the policy tells",fieldPath=".events"
type NotificationPolicySpec struct {
	// Selector says what the policy is about, in its own namespace.
	// +optional
	Selector NotificationSelector `json:"selector,omitempty"`

	// Events are what is told. Clusters are told of by policies in Penstock's own namespace
	// alone.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=set
	Events []NotificationEvent `json:"events,omitempty"`

	// On is another name of events, which must be in quotes: YAML 1.1, which kubectl reads,
	// takes the bare word for true.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=set
	On []NotificationEvent `json:"on,omitempty"`

	// Filter is a CEL expression that yields a boolean, of the variable event. Empty lets all
	// pass.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Filter string `json:"filter,omitempty"`

	// Group says what is told together, and when.
	// +optional
	// +kubebuilder:default={}
	Group NotificationGroup `json:"group,omitempty"`

	// Channels are names of NotificationChannels in the same namespace.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	Channels []string `json:"channels"`

	// Template makes texts of its own.
	// +optional
	Template NotificationTemplate `json:"template,omitempty"`

	// Suspend true means that the policy tells nothing. What happens meanwhile is never told.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Tells are the events that the policy tells.
func (s NotificationPolicySpec) Tells() []NotificationEvent {
	if len(s.Events) > 0 {
		return s.Events
	}
	return s.On
}

// NotificationPolicyStatus is written by Penstock alone.
type NotificationPolicyStatus struct {
	// Conditions: Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// NotificationPolicy says what of the builds and runs of a namespace is told, and where.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=npol,categories=penstock
// +kubebuilder:printcolumn:name="Events",type=string,JSONPath=`.spec.events`
// +kubebuilder:printcolumn:name="Channels",type=string,JSONPath=`.spec.channels`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type NotificationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   NotificationPolicySpec   `json:"spec"`
	Status NotificationPolicyStatus `json:"status,omitempty"`
}

// NotificationPolicyList is a list of NotificationPolicies.
//
// +kubebuilder:object:root=true
type NotificationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NotificationPolicy `json:"items"`
}
