package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
)

// GetQueueSummaryInput selects what is summed up.
type GetQueueSummaryInput struct {
	Namespaces []string `query:"namespace" maxItems:"50" doc:"Only these namespaces, separated by commas. Without it: all in which the caller has the right."`

	scope view.Scope
}

func (in *GetQueueSummaryInput) allow(ctx context.Context, gate gate) (err error) {
	in.scope, err = gate.scope(ctx, "list", "queue", in.Namespaces)
	return err
}

func getQueueSummary(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-queue-summary", path: "/api/v1/queue/summary", summary: "Sum the queue up",
		description: "How each lane does, what waits longest and why, what keeps a backlog gate closed, and what failed lately: in one small answer, to be asked for again and again. " +
			"Needs `list` on `queue` in all namespaces, or in those that are shown.",
	}, func(ctx context.Context, b *Backend, in *GetQueueSummaryInput) (*rest.QueueSummary, error) {
		summary, err := b.View.Summary(ctx, in.scope)
		if err != nil {
			return nil, err
		}
		summary.At = time.Now().UTC()
		return &summary, nil
	})
}
