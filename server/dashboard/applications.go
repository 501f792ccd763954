package dashboard

import (
	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// applications is the first page: every application, those that fail first.
func applications(v *visit) (ui.Page, error) {
	query := v.pick("search", "environment", "state", "cursor")
	overview, err := ask[rest.Overview](v, query, "applications")
	if err != nil {
		return ui.Page{}, err
	}
	filter := ui.ApplicationsFilter{Search: query.Get("search"), Environment: query.Get("environment"), State: query.Get("state"), Cursor: query.Get("cursor")}
	return ui.Page{
		Title: "Applications", Section: "Applications", Live: v.live("events"),
		Body: func(f ui.Frame) templ.Component { return ui.Applications(f, filter, overview) },
	}, nil
}
