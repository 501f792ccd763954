package dashboard

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// latestBuilds is how many builds the page of an application shows.
const latestBuilds = "10"

// application is the page of one application: its pipelines, what is deployed where, what waits
// and why, and its latest builds. Where the builds can't be read, the rest is shown.
func application(v *visit) (ui.Page, error) {
	namespace, name := v.r.PathValue("namespace"), v.r.PathValue("application")
	status, err := ask[rest.ApplicationStatus](v, nil, "namespaces", namespace, "applications", name, "status")
	if err != nil {
		return ui.Page{}, err
	}
	shown := ui.ApplicationView{Status: status}
	builds, err := ask[rest.BuildList](v, url.Values{"application": {name}, "limit": {latestBuilds}}, "namespaces", namespace, "builds")
	var told *Problem
	switch {
	case errors.As(err, &told) && told.Status != http.StatusUnauthorized:
		shown.BuildsError = told.Detail
	case err != nil:
		return ui.Page{}, err
	}
	shown.Builds, shown.Offers = builds, v.offered(offer.Waiting(namespace, status.CD.Pipelines))
	return ui.Page{
		Title: name, Section: "Applications", Live: v.live("namespaces", namespace, "applications", name, "status"),
		Body: func(f ui.Frame) templ.Component { return ui.Application(f, shown) },
	}, nil
}
