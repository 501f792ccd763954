package dashboard

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// holdActions change spec.hold of a CdPipeline, with the user's own token.
var holdActions = []action{
	{offer.Hold, confirmHold(true), setHold(true)},
	{offer.Release, confirmHold(false), setHold(false)},
}

// hold reads whether a pipeline is held. Who may not hold or release it, or not by the dashboard,
// is not told.
func (v *visit) hold(namespace, pipeline string) (*rest.Hold, offer.Offers) {
	if len(v.offered(offer.Holding(namespace, pipeline, false))) == 0 {
		return nil, nil
	}
	found, err := ask[rest.Hold](v, nil, "namespaces", namespace, "pipelines", pipeline, "hold")
	if err != nil {
		return nil, nil
	}
	return &found, offer.Holding(namespace, pipeline, found.Hold)
}

func confirmHold(hold bool) func(*visit, offer.Subject) (ui.Confirmation, error) {
	return func(v *visit, about offer.Subject) (ui.Confirmation, error) {
		found, err := ask[rest.Hold](v, nil, "namespaces", about.Namespace, "pipelines", about.Pipeline, "hold")
		switch {
		case err != nil:
			return ui.Confirmation{}, err
		case found.Hold == hold:
			return ui.Confirmation{}, notNow("CdPipeline " + about.Pipeline + " " + ui.HoldInWords(found) + " already.")
		}
		return ui.ConfirmHold(hold, about, found), nil
	}
}

func setHold(hold bool) func(*visit, offer.Subject, answers) (string, error) {
	return func(v *visit, about offer.Subject, form answers) (string, error) {
		wanted := rest.HoldInput{Hold: hold, Reason: form.reason, Generation: form.generation}
		_, err := tell[rest.Hold](v, wanted, "namespaces", about.Namespace, "pipelines", about.Pipeline, "hold")
		return "/pipelines/" + about.Namespace + "/" + about.Pipeline, err
	}
}
