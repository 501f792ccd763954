package offer

import "github.com/penstock-cd/penstock/api/rest"

// Delivery offers to work a delivery off again that has been worked off.
func Delivery(namespace string, delivery rest.Delivery) Offers {
	if delivery.State != "Done" && delivery.State != "Failed" {
		return nil
	}
	return Offers{{Redeliver, "Redeliver", Subject{Namespace: namespace, ID: delivery.ID}}}
}

// Notifications offers to send notifications again that are not to be sent just now.
func Notifications(namespace string, notifications []rest.Notification) (offers Offers) {
	for _, one := range notifications {
		if one.State != "Waiting" {
			offers = append(offers, Offer{Resend, "Send again", Subject{Namespace: namespace, ID: one.ID}})
		}
	}
	return offers
}
