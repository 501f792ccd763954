package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/rights"
)

// GetDeliveryInput selects a delivery.
type GetDeliveryInput struct {
	InNamespace

	ID int64 `path:"id" minimum:"1" doc:"Number of the delivery."`
}

func (in *GetDeliveryInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "get", Resource: "receivers", Subresource: "deliveries", Namespace: in.Namespace})
}

func getDelivery(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-delivery", path: "/api/v1/namespaces/{namespace}/deliveries/{id}", summary: "Get a delivery",
		description: "A delivery as it came, with its body, and what came of it. Needs `get` on `receivers/deliveries`.",
	}, func(ctx context.Context, b *Backend, in *GetDeliveryInput) (*rest.DeliveryDetail, error) {
		delivery, err := b.View.Delivery(ctx, in.Namespace, in.ID)
		return &delivery, err
	})
}
