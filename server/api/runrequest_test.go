package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
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

func TestTheAPIKnowsEveryFieldOfARunRequest(t *testing.T) {
	t.Parallel()
	fields := func(of reflect.Type) (names []string) {
		for i := range of.NumField() {
			names = append(names, of.Field(i).Tag.Get("json"))
		}
		return names
	}
	require.ElementsMatch(t, fields(reflect.TypeFor[v1alpha1.RunRequestSpec]()), fields(reflect.TypeFor[rest.RunRequestSpec]()))
	require.ElementsMatch(t, fields(reflect.TypeFor[v1alpha1.RunRequestStatus]()), fields(reflect.TypeFor[rest.RunRequestStatus]()))
}

// strict is an API server that takes no token of a caller's.
type strict struct {
	Requests // nothing else is asked

	asked []requests.Caller
}

// Create implements Requests.
func (s *strict) Create(_ context.Context, as requests.Caller, request *v1alpha1.RunRequest) (*v1alpha1.RunRequest, error) {
	s.asked = append(s.asked, as)
	if as.Token != "" {
		return nil, apierrors.NewUnauthorized("Unauthorized")
	}
	return request, nil
}

func TestATokenThatTheAPIServerRefusesIsReplacedOnlyWhereItIsForTheServersOwnAudience(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		foreign bool
		status  int
		asked   []requests.Caller
	}{
		"it may be for the server's audience": {true, http.StatusOK, []requests.Caller{{Token: "secret"}, {}}},
		"it was revoked meanwhile":            {false, http.StatusUnauthorized, []requests.Caller{{Token: "secret"}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server := &strict{}
			r := httptest.NewRequestWithContext(identity.With(t.Context(), identity.User{Name: "ann"}), http.MethodPost, "/", nil)
			r.Header.Set("Authorization", "Bearer secret")
			in := &CreateRunRequestInput{Body: rest.RunRequestInput{Spec: rest.RunRequestSpec{Action: "Rollback", PipelineRef: &rest.NameReference{Name: "web"}, By: "ann"}}}
			_, err := answerRunRequest(WithRequest(r).Context(), &Backend{Requests: server, ForeignTokens: test.foreign, Log: logr.Discard()}, in)
			require.Equal(t, test.asked, server.asked)
			if test.status == http.StatusOK {
				require.NoError(t, err)
				return
			}
			require.Equal(t, test.status, problem.Status(err))
		})
	}
}
