package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/holding"
	"github.com/penstock-cd/penstock/server/identity"
)

// SetHoldInput is what a person wants of a CdPipeline.
type SetHoldInput struct {
	HoldInput

	Body rest.HoldInput
}

func (in *SetHoldInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, in.pipeline("get"), in.pipeline("patch"))
}

func setHold(api huma.API, b *Backend) {
	post(api, b, names{
		id: "set-hold", path: holdPath, summary: "Hold or release a CdPipeline",
		description: "Changes `spec.hold` with the caller's own token, and keeps who it was, and the reason, in annotations. A pipeline that is as wanted already stays as it is. " +
			"Callers without a token that the API server knows are refused. Needs `get` and `patch` on `cdpipelines`.",
	}, func(ctx context.Context, b *Backend, in *SetHoldInput) (*rest.Hold, error) {
		user, err := identity.From(ctx)
		if err != nil {
			return nil, err
		}
		change := holding.Change{Hold: in.Body.Hold, By: user.Name, Reason: in.Body.Reason}
		changed, err := b.Requests.Hold(ctx, callerOf(ctx, user), in.Namespace, in.Name, in.Body.Generation, change)
		if err != nil {
			return nil, b.holdRefusal(err)
		}
		b.audit(ctx, "hold of pipeline is set", "namespace", in.Namespace, "pipeline", in.Name, "hold", in.Body.Hold)
		return holdOf(changed), nil
	})
}
