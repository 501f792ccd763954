package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/rights"
)

// GetNotificationInput selects a notification.
type GetNotificationInput struct {
	InNamespace

	ID int64 `path:"id" minimum:"1" doc:"Number of the notification."`
}

func (in *GetNotificationInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "list", Resource: "notifications", Namespace: in.Namespace})
}

func getNotification(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-notification", path: "/api/v1/namespaces/{namespace}/notifications/{id}", summary: "Get a notification",
		description: "What became of it so far. Needs `list` on `notifications`.",
	}, func(ctx context.Context, b *Backend, in *GetNotificationInput) (*rest.Notification, error) {
		notification, err := b.View.Notification(ctx, in.Namespace, in.ID)
		return &notification, err
	})
}
