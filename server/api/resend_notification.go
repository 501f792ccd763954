package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/rights"
)

// ResendNotificationInput selects a notification.
type ResendNotificationInput struct {
	InNamespace

	ID        int64     `path:"id" minimum:"1" doc:"Number of the notification."`
	Unchanged time.Time `query:"unchangedSince" doc:"Its changedAt: what has changed since then is not sent again."`
}

func (in *ResendNotificationInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "update", Resource: "notifications", Namespace: in.Namespace})
}

func resendNotification(api huma.API, b *Backend) {
	post(api, b, names{
		id: "resend-notification", path: "/api/v1/namespaces/{namespace}/notifications/{id}/resend", summary: "Send a notification again",
		description: "The notification is due at once, whatever became of it, as the same delivery: a receiver that drops what it has had drops it. Needs `update` on `notifications`.",
	}, func(ctx context.Context, b *Backend, in *ResendNotificationInput) (*rest.NotificationQueued, error) {
		ctx, cancel := context.WithTimeout(ctx, view.Timeout)
		defer cancel()
		if err := b.Outbox.AskResend(ctx, in.Namespace, in.ID, in.Unchanged); err != nil {
			return nil, err
		}
		b.audit(ctx, "notification is sent again", "namespace", in.Namespace, "notification", in.ID)
		return &rest.NotificationQueued{ID: in.ID}, nil
	})
}

// audit writes to the log who has changed something.
func (b *Backend) audit(ctx context.Context, message string, what ...any) {
	user, err := identity.From(ctx)
	if err != nil {
		return // nobody gets this far
	}
	b.Log.Info(message, append(what, "user", user.Name, "impersonator", user.Impersonator)...)
}
