package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/requests"
	"github.com/penstock-cd/penstock/server/rights"
)

// HoldInput selects a CdPipeline.
type HoldInput struct {
	InNamespace

	Name string `path:"name" maxLength:"253" doc:"Name of the CdPipeline."`
}

func (in *HoldInput) pipeline(verb string) rights.Need {
	return rights.Need{Verb: verb, Resource: "cdpipelines", Namespace: in.Namespace, Name: in.Name}
}

func (in *HoldInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, in.pipeline("get"))
}

func getHold(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-hold", path: holdPath, summary: "Get whether a CdPipeline is held",
		description: "As it is at the API server, which is asked with the caller's own token: callers without one are refused. Needs `get` on `cdpipelines`.",
	}, func(ctx context.Context, b *Backend, in *HoldInput) (*rest.Hold, error) {
		user, err := identity.From(ctx)
		if err != nil {
			return nil, err
		}
		found, err := b.Requests.Pipeline(ctx, callerOf(ctx, user), in.Namespace, in.Name)
		if err != nil {
			return nil, b.holdRefusal(err)
		}
		return holdOf(found), nil
	})
}

const holdPath = "/api/v1/namespaces/{namespace}/pipelines/{name}/hold"

func holdOf(pipeline *v1alpha1.CdPipeline) *rest.Hold {
	return &rest.Hold{
		Hold: pipeline.Spec.Hold, By: pipeline.Annotations[v1alpha1.AnnotationHoldBy], Reason: pipeline.Annotations[v1alpha1.AnnotationHoldReason],
		Generation: pipeline.Generation,
	}
}

// holdRefusal is why a pipeline is not read or changed, for the caller.
func (b *Backend) holdRefusal(err error) error {
	const own = "a CdPipeline is changed with your own token, and you have none that the API server knows: use kubectl penstock hold or release"
	switch {
	case errors.Is(err, requests.ErrNoToken), apierrors.IsUnauthorized(err) && b.ForeignTokens:
		return problem.New(http.StatusForbidden, own)
	case errors.Is(err, requests.ErrChanged):
		return problem.New(http.StatusConflict, "the CdPipeline was changed meanwhile: look at it again")
	}
	return refusal(err)
}
