package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/requests"
	"github.com/penstock-cd/penstock/server/rights"
)

// CreateRunRequestInput is what a person asks for.
type CreateRunRequestInput struct {
	InNamespace

	Body rest.RunRequestInput
}

// allow asks for what the admission policy asks for: the server's account has all of it.
func (in *CreateRunRequestInput) allow(ctx context.Context, gate gate) error {
	spec := &in.Body.Spec
	if spec.By == "" {
		spec.By = gate.user.Name
	}
	needs := []rights.Need{{Verb: "create", Resource: "runrequests", Namespace: in.Namespace}}
	if about, known := in.about(); known {
		about.Verb = strings.ToLower(spec.Action)
		needs = append(needs, about)
		if spec.By != gate.user.Name {
			about.Verb = "requestforothers"
			needs = append(needs, about)
		}
	}
	return gate.require(ctx, needs...)
}

// resourceOf are the resources of the kinds that a request can be about.
var resourceOf = map[string]string{"CiBuild": "cibuilds", "BaseImage": "baseimages", "TargetCluster": "targetclusters"}

// about is the object that the request is about; it is unknown where the API server refuses
// the request whoever sends it.
func (in *CreateRunRequestInput) about() (need rights.Need, known bool) {
	pipeline, target := in.Body.Spec.PipelineRef, in.Body.Spec.Target
	switch {
	case pipeline != nil:
		return rights.Need{Resource: "cdpipelines", Namespace: in.Namespace, Name: pipeline.Name}, true
	case target == nil:
		return rights.Need{}, false
	}
	need = rights.Need{Resource: resourceOf[target.Kind], Namespace: in.Namespace, Name: target.Name}
	if target.Kind == "TargetCluster" {
		need.Namespace = "" // they are in no namespace
	}
	return need, true
}

func createRunRequest(api huma.API, b *Backend) {
	post(api, b, names{
		id: "create-runrequest", path: "/api/v1/namespaces/{namespace}/runrequests", summary: "Ask for an action",
		description: "Creates a RunRequest, which the controller carries out: to trigger, retry, resume, cancel or roll back. It is created with the caller's own token, or under the server's " +
			"account for callers without one that the API server knows; `by` is the caller. The same name with the same spec answers the RunRequest that exists, with its status. " +
			"Needs `create` on `runrequests`, and the verb of the action, in lower case, on the object that it is about.",
	}, answerRunRequest)
}

func answerRunRequest(ctx context.Context, b *Backend, in *CreateRunRequestInput) (*rest.RunRequest, error) {
	request, err := in.object()
	if err != nil {
		return nil, err
	}
	user, err := identity.From(ctx)
	if err != nil {
		return nil, err
	}
	made, as, err := asCaller(ctx, b, user, func(as requests.Caller) (*v1alpha1.RunRequest, error) { return b.Requests.Create(ctx, as, request) })
	if err != nil {
		return nil, in.refusal(ownRight(err, as))
	}
	b.audit(ctx, "run request is created", "namespace", in.Namespace, "request", made.Name, "action", made.Spec.Action, "by", made.Spec.By, "ownToken", as.Token != "")
	return answerOf(made)
}

// asCaller asks the API server as the caller and, where their token is for this server alone,
// under the server's account. It returns as whom that was answered.
func asCaller(ctx context.Context, b *Backend, user identity.User, ask func(requests.Caller) (*v1alpha1.RunRequest, error)) (*v1alpha1.RunRequest, requests.Caller, error) {
	as := callerOf(ctx, user)
	answer, err := ask(as)
	if apierrors.IsUnauthorized(err) && as.Token != "" && b.ForeignTokens {
		as = requests.Caller{}
		answer, err = ask(as)
	}
	return answer, as, err
}

// callerOf is who the API server is to see: the caller by their own token, and whom they act as.
func callerOf(ctx context.Context, user identity.User) requests.Caller {
	r, ok := ctx.Value(requestKey{}).(*http.Request)
	if !ok {
		return requests.Caller{}
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	as := requests.Caller{Token: strings.TrimSpace(token)}
	if as.Token != "" && user.Impersonator != "" {
		as.Impersonate.UserName, as.Impersonate.UID, as.Impersonate.Extra = user.Name, user.UID, user.Extra
		// Not those of the user, to which groups were added that nobody asked for.
		as.Impersonate.Groups = r.Header.Values(authenticationv1.ImpersonateGroupHeader)
	}
	return as
}
