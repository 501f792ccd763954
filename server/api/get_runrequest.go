package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/requests"
	"github.com/penstock-cd/penstock/server/rights"
)

// GetRunRequestInput selects a RunRequest.
type GetRunRequestInput struct {
	InNamespace

	Name string `path:"name" maxLength:"253" doc:"Name of the RunRequest."`
}

func (in *GetRunRequestInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "get", Resource: "runrequests", Namespace: in.Namespace, Name: in.Name})
}

func getRunRequest(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-runrequest", path: "/api/v1/namespaces/{namespace}/runrequests/{name}", summary: "Get what became of a request",
		description: "A RunRequest and its status, as it is at the API server. Needs `get` on `runrequests`.",
	}, func(ctx context.Context, b *Backend, in *GetRunRequestInput) (*rest.RunRequest, error) {
		user, err := identity.From(ctx)
		if err != nil {
			return nil, err
		}
		found, _, err := asCaller(ctx, b, user, func(as requests.Caller) (*v1alpha1.RunRequest, error) {
			return b.Requests.Get(ctx, as, in.Namespace, in.Name)
		})
		if err != nil {
			return nil, refusal(err)
		}
		return answerOf(found)
	})
}
