package fleet

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Target is a cluster that is asked for something, or is not since that would be in vain.
type Target struct {
	Name string
	// UID keeps what a cluster answered apart from what another one of the same name did.
	UID types.UID
	// Unavailable is why it is not asked; nil where it is.
	Unavailable *Unavailable
}

// Unavailable is why a cluster is not asked.
type Unavailable struct {
	// Skipped is true for virtual and suspended clusters, which are not expected to answer.
	Skipped bool
	// Reason is the class of the failure, Virtual or Suspended.
	Reason v1alpha1.Reason
	// Message says since when, and what to do.
	Message string
}

// TargetOf tells whether a TargetCluster is to be asked, from what its status tells. One
// that is not healthy for another reason than that it can't be reached is asked all the
// same.
func TargetOf(cluster *v1alpha1.TargetCluster) Target {
	target := Target{Name: cluster.Name, UID: cluster.UID}
	status := &cluster.Status
	switch {
	case cluster.Spec.Virtual:
		target.Unavailable = &Unavailable{Skipped: true, Reason: v1alpha1.ReasonClusterVirtual, Message: "the cluster is virtual: it is never contacted"}
	case cluster.Spec.Suspend:
		target.Unavailable = &Unavailable{Skipped: true, Reason: v1alpha1.ReasonSuspended, Message: "the cluster is suspended: set spec.suspend of the TargetCluster to false"}
	case status.Phase == v1alpha1.ClusterUnreachable, status.Phase == v1alpha1.ClusterUnauthorized:
		since := "an unknown time"
		if status.Since != nil {
			since = status.Since.UTC().Format(time.RFC3339)
		}
		target.Unavailable = &Unavailable{
			Reason: v1alpha1.Reason(status.Reason), Message: fmt.Sprintf("%s since %s: %s", status.Phase, since, status.Message),
		}
	}
	return target
}

// Clients returns the clients of clusters. Members are Clients.
type Clients interface {
	// Client returns the client of a cluster. The error is ErrNoMember, a *Failure where the
	// cluster's kubeconfig can't be used, or else that of Penstock's own API server.
	Client(ctx context.Context, name string) (*Client, error)
}
