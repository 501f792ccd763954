package plan

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/trigger"
)

var decisionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "penstock_decisions_total",
	Help: "Decisions that were committed, by outcome and reason.",
}, []string{"outcome", "reason"})

func init() { metrics.Registry.MustRegister(decisionsTotal) }

func observe(decisions []trigger.Decision) {
	for _, decision := range decisions {
		decisionsTotal.WithLabelValues(string(decision.Outcome), string(decision.Reason)).Inc()
	}
}
