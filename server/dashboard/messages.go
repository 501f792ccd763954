package dashboard

import (
	"net/url"
	"slices"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// namespaces are those in which the user sees applications, among the first 500.
func (v *visit) namespaces() ([]string, error) {
	overview, err := ask[rest.Overview](v, url.Values{"limit": {"500"}}, "applications")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, item := range overview.Items {
		names = append(names, item.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// choose is a page that asks for a namespace, since what it is about is listed by namespace.
func (v *visit) choose(title, path string) (ui.Page, error) {
	names, err := v.namespaces()
	if err != nil {
		return ui.Page{}, err
	}
	return ui.Page{
		Title: title, Section: title,
		Body: func(f ui.Frame) templ.Component { return ui.ChooseNamespace(f, title, path, names) },
	}, nil
}

// deliveries are what webhooks brought to a namespace.
func deliveries(v *visit) (ui.Page, error) {
	query := v.pick("receiver", "failed", "cursor")
	filter := ui.MessagesFilter{Namespace: v.r.URL.Query().Get("namespace"), Of: query.Get("receiver"), Failed: query.Get("failed"), Cursor: query.Get("cursor")}
	if filter.Namespace == "" {
		return v.choose("Deliveries", "deliveries")
	}
	list, err := ask[rest.DeliveryList](v, query, "namespaces", filter.Namespace, "deliveries")
	if err != nil {
		return ui.Page{}, err
	}
	return ui.Page{
		Title: "Deliveries", Section: "Deliveries",
		Body: func(f ui.Frame) templ.Component { return ui.Deliveries(f, filter, list) },
	}, nil
}

// delivery is one of them, with what it brought.
func delivery(v *visit) (ui.Page, error) {
	namespace := v.r.PathValue("namespace")
	detail, err := ask[rest.DeliveryDetail](v, nil, "namespaces", namespace, "deliveries", v.r.PathValue("id"))
	if err != nil {
		return ui.Page{}, err
	}
	offers := v.offered(offer.Delivery(namespace, detail.Delivery))
	return ui.Page{
		Title: "Delivery", Section: "Deliveries",
		Body: func(f ui.Frame) templ.Component { return ui.Delivery(f, namespace, detail, offers) },
	}, nil
}

// notifications are what was told, or is to be told, in a namespace.
func notifications(v *visit) (ui.Page, error) {
	query := v.pick("channel", "failed", "cursor")
	filter := ui.MessagesFilter{Namespace: v.r.URL.Query().Get("namespace"), Of: query.Get("channel"), Failed: query.Get("failed"), Cursor: query.Get("cursor")}
	if filter.Namespace == "" {
		return v.choose("Notifications", "notifications")
	}
	list, err := ask[rest.NotificationList](v, query, "namespaces", filter.Namespace, "notifications")
	if err != nil {
		return ui.Page{}, err
	}
	offers := v.offered(offer.Notifications(filter.Namespace, list.Items))
	return ui.Page{
		Title: "Notifications", Section: "Notifications",
		Body: func(f ui.Frame) templ.Component { return ui.Notifications(f, filter, list, offers) },
	}, nil
}
