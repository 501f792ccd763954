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
	// GiveUpCluster ends what has begun in a cluster whose lane is shut.
	GiveUpCluster(ctx context.Context, request store.Request, cluster string) (store.Answer, error)
}

// Target carries out RunRequests about TargetClusters.
type Target struct{ Rows RequestRows }

var _ request.Target = Target{}

// CarryOut implements request.Target.
func (t Target) CarryOut(ctx context.Context, object *v1alpha1.RunRequest, asked store.Request) (store.Answer, error) {
	if object.Spec.Action == v1alpha1.ActionCancel {
		return t.Rows.GiveUpCluster(ctx, asked, object.Spec.Target.Name)
	}
	return t.Rows.AcceptCluster(ctx, asked, object.Spec.Target.Name)
}
