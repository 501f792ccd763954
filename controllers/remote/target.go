package remote

import (
	"context"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/request"
	"github.com/penstock-cd/penstock/pkg/store"
)

// RequestRows is what requests about clusters write.
type RequestRows interface {
	// AcceptCluster has the lane be of the cluster that answered last.
	AcceptCluster(ctx context.Context, request store.Request, cluster string) (store.Answer, error)
}

// Target carries out RunRequests about TargetClusters.
type Target struct{ Rows RequestRows }

var _ request.Target = Target{}

// CarryOut implements request.Target.
func (t Target) CarryOut(ctx context.Context, object *v1alpha1.RunRequest, asked store.Request) (store.Answer, error) {
	name := object.Spec.Target.Name
	if object.Spec.Action != v1alpha1.ActionResume {
		return store.Answer{}, request.Refuse("TargetCluster %s: the action can only be Resume, which confirms that the cluster which answers now is the one that is meant", name)
	}
	return t.Rows.AcceptCluster(ctx, asked, name)
}
