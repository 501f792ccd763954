package api

import (
	"context"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
)

// ListDeliveriesInput selects a page of deliveries.
type ListDeliveriesInput struct {
	InNamespace
	Paging

	Receiver string `query:"receiver" maxLength:"253" doc:"Only deliveries to this Receiver."`
	Failed   bool   `query:"failed" doc:"Only deliveries that failed, were refused or could not be read."`
}

func (in *ListDeliveriesInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "list", Resource: "receivers", Subresource: "deliveries", Namespace: in.Namespace, Name: in.Receiver})
}

func listDeliveries(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-deliveries", path: "/api/v1/namespaces/{namespace}/deliveries", summary: "List deliveries",
		description: "What webhooks brought to the Receivers of the namespace within 7 days, and what came of it, the newest first. Needs `list` on `receivers/deliveries`.",
	}, func(ctx context.Context, b *Backend, in *ListDeliveriesInput) (*rest.DeliveryList, error) {
		query := []string{"deliveries", in.Namespace, in.Receiver, strconv.FormatBool(in.Failed)}
		filter := view.DeliveryFilter{Namespace: in.Namespace, Receiver: in.Receiver, Failed: in.Failed, Limit: in.Limit + 1}
		if err := decodeCursor(in.Cursor, &filter.Before, query...); err != nil {
			return nil, err
		}
		deliveries, err := b.View.Deliveries(ctx, filter)
		if err != nil {
			return nil, err
		}
		list := &rest.DeliveryList{Items: deliveries}
		if len(deliveries) > in.Limit {
			list.Items = deliveries[:in.Limit]
			list.Next = encodeCursor(deliveries[in.Limit-1].ID, query...)
		}
		return list, nil
	})
}
