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
	trend, err := ask[rest.QueueTrend](v, v.pick("namespace"), "queue", "trend")
	if err != nil {
		v.config.Log.Info("trend of the queue not read, so that the page has none", "user", v.user.Name, "reason", err.Error())
	}
	filter := ui.QueueFilter{State: cmp.Or(query.Get("state"), "Pending"), Namespace: query.Get("namespace"), Cursor: query.Get("cursor")}
	offers := v.offered(offer.Queue(list.Items))
	return ui.Page{
		Title: "Queue", Section: "Queue", Live: v.live("queue"),
		Body: func(f ui.Frame) templ.Component { return ui.Queue(f, filter, list, trend, offers) },
	}, nil
}
