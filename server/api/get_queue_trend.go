package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
)

func getQueueTrend(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-queue-trend", path: "/api/v1/queue/trend", summary: "Get how triggers went lately",
		description: "How many Workflows were created a second, and how long they were in the queue, in equal parts of the last hour, or of a shorter time where more happened. " +
			"Needs `list` on `queue` in all namespaces, or in those that are shown.",
	}, func(ctx context.Context, b *Backend, in *GetQueueSummaryInput) (*rest.QueueTrend, error) {
		trend, err := b.View.Trend(ctx, in.scope)
		if err != nil {
			return nil, err
		}
		return &trend, nil
	})
}
