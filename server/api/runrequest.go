package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/server/requests"
)

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
	if errors.Is(err, requests.ErrOther) {
		return huma.NewError(http.StatusConflict, fmt.Sprintf("RunRequest %s exists in namespace %s, and asks for something else: take another name", in.Body.Name, in.Namespace))
	}
	return refusal(err)
}

// refusal is what the API server says, for the caller; other errors stay as they are.
func refusal(err error) error {
	var said apierrors.APIStatus
	if !errors.As(err, &said) {
		return err
	}
	status := said.Status()
	switch code := int(status.Code); {
	case apierrors.IsInvalid(err):
		return huma.NewError(code, "validation failed", detailsOf(status)...)
	case apierrors.IsUnauthorized(err):
		return huma.NewError(code, "the API server does not take the bearer token any more: get a new one")
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsBadRequest(err):
		text := status.Message
		if _, denied, found := strings.Cut(text, "denied request: "); found {
			text = denied // what the admission policy says is for people
		}
		return huma.NewError(code, text)
	}
	return err
}

// detailsOf name each field of the body that the API server refuses.
func detailsOf(status metav1.Status) []error {
	if status.Details == nil || len(status.Details.Causes) == 0 {
		return []error{&huma.ErrorDetail{Location: "body", Message: status.Message}}
	}
	details := make([]error, len(status.Details.Causes))
	for i, cause := range status.Details.Causes {
		location := "body"
		if field := strings.TrimPrefix(strings.TrimPrefix(cause.Field, "<nil>"), "metadata."); field != "" {
			location += "." + field
		}
		details[i] = &huma.ErrorDetail{Location: location, Message: cause.Message}
	}
	return details
}
