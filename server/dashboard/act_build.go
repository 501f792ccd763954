package dashboard

import (
	"fmt"
	"net/url"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// buildActions are about a CiBuild.
var buildActions = []action{
	{offer.RetryBuild, confirmBuild(offer.RetryBuild), asks(offer.RetryBuild, func(about offer.Subject, _ answers) rest.RunRequestSpec {
		return ofTarget("Retry", "CiBuild", about.Build)
	})},
	{offer.CancelBuild, confirmBuild(offer.CancelBuild), asks(offer.CancelBuild, func(about offer.Subject, _ answers) rest.RunRequestSpec {
		return ofTarget("Cancel", "CiBuild", about.Build)
	})},
}

// ofTarget asks for an action on what is no pipeline.
func ofTarget(action, kind, name string) rest.RunRequestSpec {
	return rest.RunRequestSpec{Action: action, Target: &rest.RunRequestTarget{Kind: kind, Name: name}}
}

func confirmBuild(action offer.Name) func(*visit, offer.Subject) (ui.Confirmation, error) {
	return func(v *visit, about offer.Subject) (ui.Confirmation, error) {
		detail, err := ask[rest.BuildDetail](v, url.Values{"limit": {"1"}}, "namespaces", about.Namespace, "builds", about.Build)
		if err != nil {
			return ui.Confirmation{}, err
		}
		if len(offer.Build(about.Namespace, detail.Build).Of(action)) == 0 {
			return ui.Confirmation{}, notNow(fmt.Sprintf("Build %s is %s. Somebody else may have been faster.", about.Build, ui.BuildState(detail.Build)))
		}
		return ui.ConfirmBuild(action, about, detail.Build), nil
	}
}
