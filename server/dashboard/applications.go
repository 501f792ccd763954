package dashboard

import (
	"net/url"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// applications is the first page: every application, those that fail first.
func applications(v *visit) (ui.Page, error) {
	asked := v.r.URL.Query()
	filter := ui.ApplicationsFilter{Search: asked.Get("search"), Environment: asked.Get("environment"), State: asked.Get("state"), Cursor: asked.Get("cursor")}
	query := url.Values{}
	for name, value := range map[string]string{"search": filter.Search, "environment": filter.Environment, "state": filter.State, "cursor": filter.Cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	overview, err := ask[rest.Overview](v, query, "applications")
	if err != nil {
		return ui.Page{}, err
	}
	return ui.Page{
		Title: "Applications", Section: "Applications", Live: v.live("events"),
		Body: func(f ui.Frame) templ.Component { return ui.Applications(f, filter, overview) },
	}, nil
}
