package api

import (
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/server/requests"
)

// ownRight replaces the error of an API server that does not let the server's own account ask for
// actions: the caller has all rights, and can do nothing about it. What an admission policy says
// is for the caller, and stays.
func ownRight(err error, as requests.Caller) error {
	if as.Token != "" || !apierrors.IsForbidden(err) || strings.Contains(err.Error(), "denied request: ") {
		return err
	}
	return huma.NewError(http.StatusForbidden, "the server may not ask for actions in your name, and the API server takes no token of yours from it: an administrator can set "+
		"server.requests.enabled in the chart, or apply config/requests; kubectl penstock works meanwhile")
}
