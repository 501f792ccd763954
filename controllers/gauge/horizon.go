package gauge

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// lateEvents is from which age on of an event that waits the log says what holds it back.
	lateEvents = 30 * time.Second
	// lateInterval is how often it says so.
	lateInterval = time.Minute
)

var eventDelay = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "penstock_event_delay_seconds",
	Help: "Age of the oldest event that can't be told yet, since an older transaction is open on the database server, in seconds.",
})

func init() { metrics.Registry.MustRegister(eventDelay) }

// Delay returns for how long events wait to be told, and for which transaction.
type Delay func(context.Context) (store.EventDelay, error)

// Horizon measures for how long events, and with them every status, are held back by a
// transaction that stays open, and names it in the log.
type Horizon struct {
	*loop.Loop
	delay Delay
	log   logr.Logger
	told  time.Time
}

// NewHorizon returns a gauge that measures nothing until it is started.
func NewHorizon(delay Delay, log logr.Logger) *Horizon {
	h := &Horizon{delay: delay, log: log}
	h.Loop = loop.New(loop.Config{
		Name: "gauge", Run: h.runOnce, Interval: queueInterval,
		OnError: func(err error, _ time.Duration) { log.Error(err, "delay of events not measured") },
		Log:     log,
	})
	return h
}

// runOnce measures. An error leaves the figure as it was.
func (h *Horizon) runOnce(ctx context.Context) (time.Duration, error) {
	delay, err := h.delay(ctx)
	if err != nil {
		return 0, err
	}
	eventDelay.Set(delay.Age.Seconds())
	if delay.Age < lateEvents || time.Since(h.told) < lateInterval {
		return 0, nil
	}
	h.told = time.Now()
	h.log.Info("status is late: a transaction that stays open on the database server holds back all that came after it",
		"delay", delay.Age.Round(time.Second).String(), "pid", delay.PID, "prepared", delay.Prepared, "xid", delay.XID,
		"role", delay.Role, "database", delay.Database, "application", delay.Application, "end", howToEnd(delay))
	return 0, nil
}

// howToEnd is the statement that ends what holds events back.
func howToEnd(delay store.EventDelay) string {
	switch {
	case delay.Prepared != "":
		return fmt.Sprintf("in database %s: ROLLBACK PREPARED '%s', or COMMIT PREPARED", delay.Database, delay.Prepared)
	case delay.PID != 0:
		return fmt.Sprintf("SELECT pg_terminate_backend(%d)", delay.PID)
	default:
		return "it has just ended"
	}
}
