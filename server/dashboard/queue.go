package dashboard

import (
	"cmp"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// queue is what has not ended, in the order in which it is served.
func queue(v *visit) (ui.Page, error) {
	query := v.pick("state", "namespace", "cursor")
	list, err := ask[rest.Queue](v, query, "queue")
	if err != nil {
		return ui.Page{}, err
	}
	filter := ui.QueueFilter{State: cmp.Or(query.Get("state"), "Pending"), Namespace: query.Get("namespace"), Cursor: query.Get("cursor")}
	offers := v.offered(offer.Queue(list.Items))
	return ui.Page{
		Title: "Queue", Section: "Queue", Live: v.live("queue"),
		Body: func(f ui.Frame) templ.Component { return ui.Queue(f, filter, list, offers) },
	}, nil
}
