package api

import (
	"context"
	"crypto/rand"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
)

// TestChannelInput names a channel.
type TestChannelInput struct {
	InNamespace

	Body rest.ChannelTest
}

func (in *TestChannelInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "create", Resource: "notifications", Namespace: in.Namespace})
}

func testChannel(api huma.API, b *Backend) {
	post(api, b, names{
		id: "test-channel", path: "/api/v1/namespaces/{namespace}/notifications/test", summary: "Test a channel",
		description: "A message that says that it is a test is sent to a NotificationChannel. Needs `create` on `notifications`.",
	}, func(ctx context.Context, b *Backend, in *TestChannelInput) (*rest.NotificationQueued, error) {
		ctx, cancel := context.WithTimeout(ctx, view.Timeout)
		defer cancel()
		id, err := b.Outbox.AskTest(ctx, in.Namespace, in.Body.Channel, rand.Text())
		if err != nil {
			return nil, err
		}
		b.audit(ctx, "channel is tested", "namespace", in.Namespace, "channel", in.Body.Channel, "notification", id)
		return &rest.NotificationQueued{ID: id}, nil
	})
}
