package ui

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// ConfirmRedeliver is the confirmation that a delivery is worked off again.
func ConfirmRedeliver(about offer.Subject, delivery rest.Delivery) Confirmation {
	return Confirmation{
		Section: "Deliveries", Title: "Redeliver " + shorten(delivery.DeliveryID, 40) + "?", Button: "Redeliver", Back: []string{"deliveries", about.Namespace, id(about.ID)}, NoReason: true,
		Effects: []string{"The same body is worked off again, as a delivery of its own and as the Receiver is now.", "What was made for it before is not made again."},
		Facts: []Fact{
			{"Receiver", delivery.Receiver}, {"Event", delivery.Event}, {"Repository", delivery.Repository}, {"Came of it", cameOfIt(delivery.Outcome, delivery.Message)},
		},
	}
}

// ConfirmResend is the confirmation that a notification is sent again.
func ConfirmResend(about offer.Subject, found rest.Notification) Confirmation {
	asked := Confirmation{
		Section: "Notifications", Title: "Send notification " + id(about.ID) + " again?", Button: "Send again", Back: []string{"notifications"}, NoReason: true, Seen: found.ChangedAt,
		BackQuery: []string{"namespace", about.Namespace},
		Effects:   []string{"It is due at once, as the same delivery: a receiver that drops what it has had drops it."},
		Facts:     []Fact{{"Title", found.Title}, {"Channel", found.Channel}, {"State", found.State}},
	}
	if found.Error != "" {
		asked.Facts = append(asked.Facts, Fact{"Was wrong", found.Error})
	}
	return asked
}
