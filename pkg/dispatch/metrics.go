package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	triggers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_triggers_total",
		Help: "Submissions that ended, by the state that they gave their row: Submitted, Pending (to be retried), Error or Cancelled.",
	}, []string{"result"})
	inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_triggers_in_flight",
		Help: "Submissions under way now.",
	})
	limitGauge = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_trigger_limit",
		Help: "Most submissions that may be under way at once.",
	})
	latency = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "penstock_trigger_latency_seconds",
		Help:    "Time from a row's being planned to its Workflow's existence, in seconds.",
		Buckets: prometheus.ExponentialBuckets(0.01, 2, 16),
	})
	duration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "penstock_trigger_duration_seconds",
		Help:    "Time from a claim to the end of its submission, in seconds.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
	})
	batchSize = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "penstock_batch_size",
		Help:    "Rows taken by one claim.",
		Buckets: []float64{0, 1, 2, 5, 10, 20, 50, 100, 200},
	})
	batchDuration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "penstock_batch_duration_seconds",
		Help:    "Time that one group commit of completions takes, in seconds.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
	})
	gateClosed = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_backlog_gate_closed",
		Help: "1 while the backlog gate holds triggers back, else 0.",
	})
	backlog = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_backlog_active_workflows",
		Help: "Unfinished Workflows, when the backlog gate was asked last.",
	})
)

func init() {
	metrics.Registry.MustRegister(triggers, inFlight, limitGauge, latency, duration, batchSize, batchDuration, gateClosed, backlog)
}
