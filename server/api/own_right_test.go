package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/requests"
)

// unable is an API server where the server's own account may not create requests.
type unable struct {
	Requests

	message string
}

// Create implements Requests.
func (u unable) Create(context.Context, requests.Caller, *v1alpha1.RunRequest) (*v1alpha1.RunRequest, error) {
	forbidden := apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("runrequests").GroupResource(), "", nil)
	forbidden.ErrStatus.Message = u.message
	return nil, forbidden
}

func TestWhoHasNoTokenIsToldWhereTheServerMayNotActForThem(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		token, message, says string
	}{
		"by the server's account":               {"", `User "penstock-server" cannot create resource "runrequests"`, "an administrator can set server.requests.enabled in the chart, or apply config/requests"},
		"what an admission policy says is kept": {"", "ValidatingAdmissionPolicy 'x' with binding 'x' denied request: the build is gone", "the build is gone"},
		"by a token of their own":               {"secret", `User "ann" cannot create resource "runrequests"`, `User "ann" cannot create`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(identity.With(t.Context(), identity.User{Name: "ann"}), http.MethodPost, "/", nil)
			if test.token != "" {
				r.Header.Set("Authorization", "Bearer "+test.token)
			}
			in := &CreateRunRequestInput{Body: rest.RunRequestInput{Spec: rest.RunRequestSpec{Action: "Rollback", PipelineRef: &rest.NameReference{Name: "web"}, By: "ann"}}}
			_, err := answerRunRequest(WithRequest(r).Context(), &Backend{Requests: unable{message: test.message}, Log: logr.Discard()}, in)
			require.Equal(t, http.StatusForbidden, problem.Status(err))
			require.Contains(t, problem.Detail(err), test.says)
		})
	}
}
