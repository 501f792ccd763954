package delivery

import (
	"context"

	"github.com/penstock-cd/penstock/pkg/store"
)

// inRow is how many deliveries of one repository a worker works off before those of others have
// their turn.
const inRow = 20

// handleRow works off a delivery, and those that come after it in its repository.
func (w *Worker) handleRow(ctx context.Context, delivery store.WebhookDelivery) {
	w.handle(ctx, delivery)
	for range inRow - 1 {
		if ctx.Err() != nil {
			return
		}
		var found bool
		err := w.withRows(func() (err error) {
			delivery, found, err = w.Rows.ClaimNextDelivery(ctx, w.Worker, lease, delivery)
			return err
		})
		if err != nil || !found {
			return // the next look finds it, and says what is wrong
		}
		w.handle(ctx, delivery)
	}
}
