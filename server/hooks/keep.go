package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/server/problem"
)

// answer is an error, or what was kept.
type answer struct {
	err error
	// ID of the delivery, as `kubectl penstock deliveries show` takes it.
	ID string `json:"id"`
	// Duplicate means that it was received before, and that nothing more is done.
	Duplicate bool `json:"duplicate,omitempty"`
}

// write answers the request, and returns the status.
func (a answer) write(w http.ResponseWriter) int {
	if a.err != nil {
		problem.Write(w, a.err)
		return problem.Status(a.err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(a) // a sender that is gone sends it again
	return http.StatusAccepted
}

// keep commits a delivery that was verified.
func (h *Handler) keep(r *http.Request, receiver store.Receiver, body []byte) answer {
	if receiver.Spec.Suspend {
		return answer{err: problem.Later(http.StatusServiceUnavailable, suspendedAfter, "the receiver is suspended: try again later")}
	}
	if wait, ok := h.limits.Take(receiver.UID, rateOf(receiver.Spec.PerMinute()), time.Now()); !ok {
		return answer{err: problem.Later(http.StatusTooManyRequests, wait, fmt.Sprintf("the receiver takes %d deliveries per minute: try again later", receiver.Spec.PerMinute()))}
	}
	// A sender that goes away has no effect: it sends again what was not answered.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepTimeout)
	defer cancel()
	failpoint.Hit(failpoint.HookBeforeInsert)
	id, repeated, err := h.Rows.AddDelivery(ctx, deliveryOf(receiver, r.Header, body))
	if err != nil {
		h.Log.Error(err, "delivery not kept", "namespace", receiver.Namespace, "receiver", receiver.Name)
		return answer{err: h.later("the database does not answer")}
	}
	failpoint.Hit(failpoint.HookAfterInsert)
	return answer{ID: fmt.Sprint(id), Duplicate: repeated}
}

// deliveryOf is a delivery as it is kept. One that can't be parsed is kept as well: who works it
// off says so, where people see it.
func deliveryOf(receiver store.Receiver, header http.Header, body []byte) store.WebhookDelivery {
	sender, _ := webhook.SenderOf(receiver.Spec.Type)
	event, _ := sender.Parse(webhook.Request{Header: header, Body: body})
	return store.WebhookDelivery{
		Namespace: receiver.Namespace, Receiver: receiver.Name, ReceiverUID: receiver.UID, DeliveryID: event.ID,
		Type: receiver.Spec.Type, Event: event.Name, Header: webhook.Keep(sender, header), Body: body, Repository: event.Order,
	}
}
