// Package crash observes panics that were caught, and writes them to the log and to a
// metric.
package crash

import (
	"errors"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

var panics = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "penstock_panics_total",
	Help: "Panics that were caught, by where.",
}, []string{"where"})

func init() { metrics.Registry.MustRegister(panics) }

// Tell counts and logs the panic in an error, with its stack; another error, or none,
// is left to the caller. where is the name of a package.
func Tell(log logr.Logger, where string, err error) {
	var panicked *bounded.PanicError
	if !errors.As(err, &panicked) {
		return
	}
	panics.WithLabelValues(where).Inc()
	log.Error(err, "panic caught", "where", where, "stack", string(panicked.Stack))
}
