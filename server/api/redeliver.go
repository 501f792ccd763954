package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/rights"
)

// RedeliverInput selects a delivery.
type RedeliverInput struct {
	InNamespace

	ID   int64  `path:"id" minimum:"1" doc:"Number of the delivery."`
	Once string `header:"Idempotency-Key" maxLength:"128" doc:"Sent again by the same caller, it answers the delivery that was made then."`
}

func (in *RedeliverInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "update", Resource: "receivers", Subresource: "deliveries", Namespace: in.Namespace})
}

func redeliver(api huma.API, b *Backend) {
	post(api, b, names{
		id: "redeliver", path: "/api/v1/namespaces/{namespace}/deliveries/{id}/redeliver", summary: "Work a delivery off again",
		description: "The same body is worked off again, as a delivery of its own and as the Receiver is now. What was made for it before is not made again. Needs `update` on `receivers/deliveries`.",
	}, func(ctx context.Context, b *Backend, in *RedeliverInput) (*rest.Redelivery, error) {
		ctx, cancel := context.WithTimeout(ctx, view.Timeout)
		defer cancel()
		id, err := b.Deliveries.AskRedelivery(ctx, in.Namespace, in.ID, token(ctx, in.Once))
		if err != nil {
			return nil, err
		}
		b.audit(ctx, "delivery is worked off again", "namespace", in.Namespace, "delivery", in.ID, "redelivery", id)
		return &rest.Redelivery{ID: id}, nil
	})
}

// token names a request. It is a new one unless the same caller has sent the same key.
func token(ctx context.Context, key string) string {
	user, err := identity.From(ctx)
	if key == "" || err != nil {
		return rand.Text()
	}
	sum := sha256.Sum256([]byte(user.Name + "\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
