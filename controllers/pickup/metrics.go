package pickup

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var notTakenUp = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "penstock_workflows_not_taken_up",
	Help: "Workflows that no Argo controller has taken up within PICKUP_TIMEOUT.",
})

func init() { metrics.Registry.MustRegister(notTakenUp) }
