package dashboard

import (
	"fmt"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// runActions are about one run of a CdPipeline.
var runActions = []action{
	{offer.Resume, confirmRun(offer.Resume), asks(offer.Resume, func(about offer.Subject, _ answers) rest.RunRequestSpec {
		spec := ofRun("Resume", about)
		spec.Stage = about.Stage
		return spec
	})},
	{offer.Retry, confirmRun(offer.Retry), asks(offer.Retry, func(about offer.Subject, form answers) rest.RunRequestSpec {
		spec := ofRun("Retry", about)
		spec.AllowOlder = form.allowOlder
		return spec
	})},
	{offer.Cancel, confirmRun(offer.Cancel), asks(offer.Cancel, func(about offer.Subject, _ answers) rest.RunRequestSpec {
		return ofRun("Cancel", about)
	})},
}

func ofRun(action string, about offer.Subject) rest.RunRequestSpec {
	return rest.RunRequestSpec{Action: action, PipelineRef: &rest.NameReference{Name: about.Pipeline}, Run: &about.Run}
}

// confirmRun asks for an action on a run that is in a state for it.
func confirmRun(action offer.Name) func(*visit, offer.Subject) (ui.Confirmation, error) {
	return func(v *visit, about offer.Subject) (ui.Confirmation, error) {
		detail, err := ask[rest.RunDetail](v, nil, "namespaces", about.Namespace, "runs", ui.Number(about.Run))
		if err != nil {
			return ui.Confirmation{}, err
		}
		run := detail.Run
		if run.Pipeline != about.Pipeline {
			return ui.Confirmation{}, noPage
		}
		for _, one := range offer.Runs(about.Namespace, []rest.Run{run}).Of(action) {
			if one.Stage == about.Stage {
				return ui.ConfirmRun(one, run), nil
			}
		}
		return ui.Confirmation{}, notNow(fmt.Sprintf("Run %d of %s is %s: there is nothing to %s. Somebody else may have been faster.", run.ID, run.Pipeline, ui.RunState(run), action))
	}
}
