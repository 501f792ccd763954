package rest

import (
	"encoding/json"
	"time"
)

// ClusterList is the TargetClusters, by name.
type ClusterList struct {
	Items []Cluster `json:"items" nullable:"false"`
}

// Cluster is how one TargetCluster does.
type Cluster struct {
	Name          string            `json:"name"`
	Labels        map[string]string `json:"labels,omitempty" doc:"Labels of the TargetCluster, by which it is selected."`
	Phase         string            `json:"phase" doc:"Healthy, Degraded, Unreachable, Unauthorized, Virtual or Unknown."`
	Reason        string            `json:"reason,omitempty" doc:"Class of the failure, such as Timeout."`
	Version       string            `json:"version,omitempty" doc:"Version of Kubernetes."`
	LatencyMillis int64             `json:"latencyMillis" doc:"How long the last written probe took."`
	Since         *time.Time        `json:"since,omitempty" doc:"When the cluster came into this phase."`
	CheckedAt     *time.Time        `json:"checkedAt,omitempty" doc:"When the last written probe ended. Later ones had the same result."`
	Message       string            `json:"message,omitempty" doc:"What is wrong, and what to do."`
	Lane          *ClusterLane      `json:"lane,omitempty" doc:"Whether runs and builds are triggered there; absent while none has anything to do there."`
}

// ClusterLane is whether Workflows are created in a cluster.
type ClusterLane struct {
	Open    bool      `json:"open"`
	Reason  string    `json:"reason" doc:"LaneOpen, or why nothing is triggered, such as ClusterChanged."`
	Message string    `json:"message,omitempty" doc:"What is wrong, and what to do."`
	Since   time.Time `json:"since" doc:"When it opened, or shut."`
}

// ResourceList is one page of the resources of many clusters.
type ResourceList struct {
	Page

	Kinds    []ResourceKind    `json:"kinds" nullable:"false" doc:"In the order in which they were asked for."`
	Clusters []ResourceCluster `json:"clusters" nullable:"false" doc:"Every cluster that was asked for, by name."`
	Complete bool              `json:"complete" doc:"Nothing is missing of any cluster. What further pages hold is not missing."`
}

// ResourceKind is the items of one kind.
type ResourceKind struct {
	Kind     string           `json:"kind" doc:"Plural name and group, such as deployments.apps."`
	Singular string           `json:"singular" doc:"Singular name and group, such as deployment.apps."`
	Columns  []ResourceColumn `json:"columns" nullable:"false" doc:"Those that kubectl get prints."`
	Items    []ResourceItem   `json:"items" nullable:"false" doc:"By cluster, namespace and name."`
}

// ResourceColumn is one column of a kind.
type ResourceColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type" doc:"string, integer, number, boolean or date."`
	Priority int32  `json:"priority,omitempty" doc:"0 is always shown, more with -o wide."`
}

// ResourceItem is one object.
type ResourceItem struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Cells     []any  `json:"cells" nullable:"false" doc:"In the order of the columns. Ages are those at the time of the answer."`
}

// ResourceCluster is how one cluster answered, for all kinds together.
type ResourceCluster struct {
	Name       string `json:"name"`
	State      string `json:"state" doc:"Fresh, Stale, Skipped, Pending, Failed or Unreachable."`
	AgeSeconds int64  `json:"ageSeconds" doc:"How old the oldest shown part is."`
	Count      int64  `json:"count" doc:"How many objects there are, those that were read and those that the cluster says remain."`
	Truncated  bool   `json:"truncated,omitempty" doc:"More exist than are read of one cluster."`
	Error      string `json:"error,omitempty" doc:"What is missing, and why."`
}

// ResourcePart is one message of a stream of resources: what one cluster answered of one
// kind. It replaces the one before of the same kind, cluster and namespace.
type ResourcePart struct {
	Namespace string          `json:"namespace,omitempty" doc:"The one that was listed; absent where that is all of them."`
	Kind      ResourceKind    `json:"kind"`
	Cluster   ResourceCluster `json:"cluster"`
}

// ResourceEnd is the last message of a stream of resources.
type ResourceEnd struct {
	Complete bool `json:"complete" doc:"Nothing is missing of any cluster."`
}

// BatchGet asks for objects of many clusters.
type BatchGet struct {
	References []Reference `json:"references" nullable:"false" doc:"Up to 500."`
}

// Reference names one object of one cluster. No field is checked before the references are told
// apart: a wrong one costs no other.
type Reference struct {
	Cluster   string `json:"cluster" required:"false" doc:"Name of the TargetCluster."`
	Kind      string `json:"kind" required:"false" doc:"As kubectl takes it, such as deployments.apps or deploy."`
	Namespace string `json:"namespace,omitempty" doc:"Absent for a kind that is in no namespace."`
	Name      string `json:"name" required:"false"`
}

// BatchAnswers are the answers to a BatchGet.
type BatchAnswers struct {
	Items    []BatchAnswer `json:"items" nullable:"false" doc:"One for each reference, in their order."`
	Complete bool          `json:"complete" doc:"Every reference has an object."`
}

// BatchAnswer is an object, or why there is none.
type BatchAnswer struct {
	Object json.RawMessage `json:"object,omitempty" doc:"The object, without managedFields."`
	Error  *BatchError     `json:"error,omitempty"`
}

// BatchError is why there is no object.
type BatchError struct {
	Reason  string `json:"reason" doc:"NotFound, NotServed, Invalid, NotAllowed, TooLarge, or the class of a cluster's failure."`
	Message string `json:"message" doc:"What happened, and what to do."`
}

// ClusterHistory is a page of how the health of a TargetCluster has changed.
type ClusterHistory struct {
	Page

	Items []ClusterChange `json:"items" nullable:"false" doc:"The newest first. A TargetCluster that was deleted and made again under the same name has both histories."`
}

// ClusterChange is what the health of a cluster was from a moment on.
type ClusterChange struct {
	ID      int64     `json:"id"`
	UID     string    `json:"uid" doc:"Of the TargetCluster."`
	Phase   string    `json:"phase"`
	Reason  string    `json:"reason,omitempty" doc:"Class of the failure, such as Timeout."`
	Message string    `json:"message,omitempty"`
	Version string    `json:"version,omitempty" doc:"Version of Kubernetes."`
	At      time.Time `json:"at"`
}
