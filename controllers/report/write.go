package report

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/failpoint"
)

// write is one status patch, and what to tell once it is done.
type write struct {
	key types.NamespacedName
	// original is the object as the cache has it, changed the same with its new
	// status.
	original client.Object
	changed  client.Object
	news     []news
}

// apply patches the status, then records the events. The patch is refused where
// the object has changed since it was read: it is read again in the next round.
func (r *Reporter) apply(ctx context.Context, w write) (struct{}, error) {
	patch := client.MergeFromWithOptions(w.original, client.MergeFromWithOptimisticLock{})
	failpoint.Hit(failpoint.ReportBeforeStatus)
	if err := r.Writer.Status().Patch(ctx, w.changed, patch); err != nil {
		return struct{}{}, fmt.Errorf("patch status: %w", err)
	}
	failpoint.Hit(failpoint.ReportAfterStatus)
	for _, item := range w.news {
		r.Events.Eventf(w.changed, nil, item.kind, item.reason, item.action, "%s", item.note)
	}
	return struct{}{}, nil
}
