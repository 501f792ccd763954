package settings

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var refused = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "penstock_settings_refused_total",
	Help: "Values in the settings' ConfigMap that were refused.",
})

func init() { metrics.Registry.MustRegister(refused) }
