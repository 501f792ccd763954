package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	as := callerOf(ctx, user)
	made, err := b.Requests.Create(ctx, as, request)
	if apierrors.IsUnauthorized(err) && as.Token != "" { // it is for another audience than the API server's
		as = requests.Caller{}
		made, err = b.Requests.Create(ctx, as, request)
	}
	if err != nil {
		return nil, in.refusal(err)
	}
	b.audit(ctx, "run request is created", "namespace", in.Namespace, "request", made.Name, "action", made.Spec.Action, "by", made.Spec.By, "ownToken", as.Token != "")
	return answerOf(made)
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

// object is the RunRequest that is asked for.
func (in *CreateRunRequestInput) object() (*v1alpha1.RunRequest, error) {
	request := &v1alpha1.RunRequest{}
	request.APIVersion, request.Kind = v1alpha1.GroupVersion.String(), "RunRequest"
	request.Namespace, request.Name = in.Namespace, in.Body.Name
	if err := convert(in.Body.Spec, &request.Spec); err != nil {
		return nil, err
	}
	if request.Name == "" {
		request.GenerateName = "request-"
		if about, known := in.about(); known {
			request.GenerateName = about.Name + "-" + strings.ToLower(in.Body.Spec.Action) + "-"
		}
	}
	return request, nil
}

// convert fills a struct from another with the same JSON.
func convert(from, into any) error {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("convert a RunRequest: %w", err)
	}
	return nil
}

func answerOf(made *v1alpha1.RunRequest) (*rest.RunRequest, error) {
	answer := &rest.RunRequest{
		Namespace: made.Namespace, Name: made.Name, UID: string(made.UID), CreatedAt: made.CreationTimestamp.UTC(),
		Status: rest.RunRequestStatus{Phase: string(made.Status.Phase), Run: made.Status.Run, Message: made.Status.Message},
	}
	if made.Status.At != nil {
		at := made.Status.At.UTC()
		answer.Status.At = &at
	}
	return answer, convert(made.Spec, &answer.Spec)
}

// refusal is what the API server says, for the caller.
func (in *CreateRunRequestInput) refusal(err error) error {
	var said apierrors.APIStatus
	if !errors.As(err, &said) {
		return err
	}
	status := said.Status()
	switch code := int(status.Code); {
	case errors.Is(err, requests.ErrOther):
		return huma.NewError(code, fmt.Sprintf("RunRequest %s exists in namespace %s, and asks for something else: take another name", in.Body.Name, in.Namespace))
	case apierrors.IsInvalid(err):
		return huma.NewError(code, "validation failed", detailsOf(status)...)
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsBadRequest(err):
		text := status.Message
		if _, denied, found := strings.Cut(text, "denied request: "); found {
			text = denied // what the admission policy says is for people
		}
		return huma.NewError(code, text)
	}
	return err
}
