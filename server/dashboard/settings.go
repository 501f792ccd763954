package dashboard

import (
	"errors"
	"net/http"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// settings tells the limits in force, and who the user is for the API server. Who may not see the
// limits sees the rest.
func settings(v *visit) (ui.Page, error) {
	shown := ui.SettingsView{Groups: v.user.Groups, Impersonator: v.user.Impersonator}
	limits, err := ask[rest.Settings](v, nil, "settings")
	var told *Problem
	switch {
	case errors.As(err, &told) && told.Status != http.StatusUnauthorized:
		shown.LimitsError = told.Detail
	case err != nil:
		return ui.Page{}, err
	}
	shown.Limits, shown.Offers, shown.Changed = limits, v.changeable(limits.Items), v.changed(limits.Items)
	return ui.Page{
		Title: "Settings", Section: "Settings",
		Body: func(f ui.Frame) templ.Component { return ui.Settings(f, shown) },
	}, nil
}
