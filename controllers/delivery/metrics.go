package delivery

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// measureInterval is how often the deliveries that are not worked off are counted.
const measureInterval = 10 * time.Second

var (
	worked = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_webhook_deliveries_total",
		Help: "Deliveries of webhooks that were worked off, by type of the receiver and by outcome.",
	}, []string{"type", "outcome"})
	pending = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_webhook_deliveries_pending",
		Help: "Deliveries of webhooks that are not worked off.",
	})
	oldest = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_webhook_deliveries_oldest_seconds",
		Help: "For how long the delivery of a webhook waits that was received first, in seconds.",
	})
)

func init() { metrics.Registry.MustRegister(worked, pending, oldest) }

// measure counts what is not worked off, now and then.
func (w *Worker) measure(ctx context.Context) error {
	if time.Since(w.measuredAt) < measureInterval {
		return nil
	}
	return w.withRows(func() error {
		open, waited, err := w.Rows.OpenDeliveries(ctx)
		if err == nil {
			pending.Set(float64(open))
			oldest.Set(waited.Seconds())
			w.measuredAt = time.Now()
		}
		return err
	})
}
