package view

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// DeliveryFilter selects what webhooks brought. The zero value of a field selects all.
type DeliveryFilter struct {
	Namespace string // required
	Receiver  string
	// Failed selects what came to nothing although it should have.
	Failed bool
	// Before is the id of the delivery behind which the page begins.
	Before int64
	Limit  int
}

// Deliveries returns a page of deliveries, the newest first.
func (v *View) Deliveries(ctx context.Context, filter DeliveryFilter) ([]rest.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if filter.Before == 0 {
		filter.Before = math.MaxInt64
	}
	rows, err := v.queries.ViewDeliveries(ctx, dbsqlc.ViewDeliveriesParams{
		Namespace: filter.Namespace, BeforeID: filter.Before, Receiver: filter.Receiver, Failed: filter.Failed, Most: most(filter.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	deliveries := make([]rest.Delivery, len(rows))
	for i, row := range rows {
		deliveries[i] = rest.Delivery{
			ID: row.ID, Receiver: row.Receiver, Type: row.Type, Event: row.Event, DeliveryID: row.DeliveryID, Repository: row.Repository,
			State: row.Status, Outcome: row.Outcome, Message: row.Message, Attempts: row.Attempts, Repeats: row.Repeats,
			ReceivedAt: row.ReceivedAt.Time.UTC(), FinishedAt: unlessZero(row.FinishedAt.Time), RedeliveryOf: row.RedeliveryOf,
		}
		deliveries[i] = due(deliveries[i], row.DueAt)
	}
	return deliveries, nil
}

// due tells when a delivery is worked off that is not.
func due(delivery rest.Delivery, at pgtype.Timestamptz) rest.Delivery {
	if delivery.FinishedAt == nil {
		delivery.DueAt = unlessZero(at.Time)
	}
	return delivery
}

// Delivery returns one delivery as it came, or ErrNotFound.
func (v *View) Delivery(ctx context.Context, namespace string, id int64) (rest.DeliveryDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	row, err := only(v.queries.ViewDelivery(ctx, dbsqlc.ViewDeliveryParams{ID: id, Namespace: namespace}))
	if err != nil {
		return rest.DeliveryDetail{}, fmt.Errorf("read delivery %d in namespace %s: %w", id, namespace, err)
	}
	var header http.Header
	if err := json.Unmarshal(row.Headers, &header); err != nil {
		return rest.DeliveryDetail{}, fmt.Errorf("decode the headers of delivery %d: %w", id, err)
	}
	detail := rest.DeliveryDetail{
		Delivery: rest.Delivery{
			ID: row.ID, Receiver: row.Receiver, Type: row.Type, Event: row.Event, DeliveryID: row.DeliveryID, Repository: row.Repository,
			State: row.Status, Outcome: row.Outcome, Message: row.Message, Attempts: row.Attempts, Repeats: row.Repeats,
			ReceivedAt: row.ReceivedAt.Time.UTC(), FinishedAt: unlessZero(row.FinishedAt.Time),
		},
		Headers: map[string]string{}, Body: strings.ToValidUTF8(string(row.Body), "\uFFFD"),
	}
	if row.RedeliveryOf != nil {
		detail.RedeliveryOf = *row.RedeliveryOf
	}
	detail.Delivery = due(detail.Delivery, row.DueAt)
	for name := range header {
		detail.Headers[name] = header.Get(name)
	}
	return detail, nil
}
