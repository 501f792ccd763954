package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// messageActions are about what webhooks brought, and what was told.
var messageActions = []action{
	{offer.Redeliver, confirmRedeliver, redeliver},
	{offer.Resend, confirmResend, resend},
}

func confirmRedeliver(v *visit, about offer.Subject) (ui.Confirmation, error) {
	detail, err := ask[rest.DeliveryDetail](v, nil, "namespaces", about.Namespace, "deliveries", ui.Number(about.ID))
	if err != nil {
		return ui.Confirmation{}, err
	}
	if len(offer.Delivery(about.Namespace, detail.Delivery)) == 0 {
		return ui.Confirmation{}, notNow(fmt.Sprintf("Delivery %d is %s: it is still worked off.", about.ID, detail.State))
	}
	return ui.ConfirmRedeliver(about, detail.Delivery), nil
}

// redeliver leads to the new delivery.
func redeliver(v *visit, about offer.Subject, form answers) (string, error) {
	made, err := tellOnce[rest.Redelivery](v, form.once(v.user, offer.Redeliver, about), "namespaces", about.Namespace, "deliveries", ui.Number(about.ID), "redeliver")
	return "/deliveries/" + about.Namespace + "/" + ui.Number(made.ID), err
}

func confirmResend(v *visit, about offer.Subject) (ui.Confirmation, error) {
	found, err := notificationOf(v, about)
	if err != nil {
		return ui.Confirmation{}, err
	}
	if len(offer.Notifications(about.Namespace, []rest.Notification{found})) == 0 {
		return ui.Confirmation{}, notNow(fmt.Sprintf("Notification %d is %s: it is to be sent already.", about.ID, found.State))
	}
	return ui.ConfirmResend(about, found), nil
}

func notificationOf(v *visit, about offer.Subject) (rest.Notification, error) {
	return ask[rest.Notification](v, nil, "namespaces", about.Namespace, "notifications", ui.Number(about.ID))
}

// resend has a notification sent again that is as the form has shown it. One that waits to be sent
// is what was asked for.
func resend(v *visit, about offer.Subject, form answers) (string, error) {
	next := "/notifications?" + url.Values{"namespace": {about.Namespace}}.Encode()
	err := v.tellAt(url.Values{"unchangedSince": {form.seen.Format(time.RFC3339Nano)}}, "namespaces", about.Namespace, "notifications", ui.Number(about.ID), "resend")
	var told *Problem
	if !errors.As(err, &told) || told.Status != http.StatusConflict {
		return next, err
	}
	if found, read := notificationOf(v, about); read == nil && found.State == "Waiting" {
		return next, nil
	}
	return "", notNow(fmt.Sprintf("Notification %d was sent, or tried, since you have looked at it. Nothing was done.", about.ID))
}
