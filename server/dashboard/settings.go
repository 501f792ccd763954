package dashboard

import (
	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// settings tells who the user is for the API server.
func settings(v *visit) (ui.Page, error) {
	groups := v.user.Groups
	return ui.Page{
		Title: "Settings", Section: "Settings",
		Body: func(f ui.Frame) templ.Component { return ui.Settings(f, groups, v.user.Impersonator) },
	}, nil
}
