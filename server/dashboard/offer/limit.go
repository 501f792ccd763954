package offer

import "github.com/penstock-cd/penstock/api/rest"

// Limits offers to change the live limits, whose ConfigMap is in a namespace.
func Limits(namespace string, limits []rest.Setting) (offers Offers) {
	for _, one := range limits {
		offers = append(offers, Offer{ChangeLimit, "Change", Subject{Namespace: namespace, Limit: one.Key}})
	}
	return offers
}
