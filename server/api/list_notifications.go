package api

import (
	"context"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
)

// ListNotificationsInput selects a page of notifications.
type ListNotificationsInput struct {
	InNamespace
	Paging

	Channel string `query:"channel" maxLength:"253" doc:"Only notifications for this NotificationChannel."`
	Failed  bool   `query:"failed" doc:"Only notifications that were given up, or that wait after an attempt that failed."`
}

func (in *ListNotificationsInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "list", Resource: "notifications", Namespace: in.Namespace})
}

func listNotifications(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-notifications", path: "/api/v1/namespaces/{namespace}/notifications", summary: "List notifications",
		description: "What was told, or is to be told, in the channels of the namespace, the newest first. Needs `list` on `notifications`.",
	}, func(ctx context.Context, b *Backend, in *ListNotificationsInput) (*rest.NotificationList, error) {
		query := []string{"notifications", in.Namespace, in.Channel, strconv.FormatBool(in.Failed)}
		filter := view.NotificationFilter{Namespace: in.Namespace, Channel: in.Channel, Failed: in.Failed, Limit: in.Limit + 1}
		if err := decodeCursor(in.Cursor, &filter.Before, query...); err != nil {
			return nil, err
		}
		notifications, err := b.View.Notifications(ctx, filter)
		if err != nil {
			return nil, err
		}
		list := &rest.NotificationList{Items: notifications}
		if len(notifications) > in.Limit {
			list.Items = notifications[:in.Limit]
			list.Next = encodeCursor(notifications[in.Limit-1].ID, query...)
		}
		return list, nil
	})
}
