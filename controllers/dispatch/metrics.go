package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// laneLabel is the lane's name, such as cd.
const laneLabel = "lane"

var (
	triggers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_triggers_total",
		Help: "Submissions that ended, by lane and by the state that they gave their task: Submitted, Pending (to be retried), Held, Error or Cancelled.",
	}, []string{laneLabel, "result"})
	inFlight = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_triggers_in_flight",
		Help: "Submissions under way now, by lane.",
	}, []string{laneLabel})
	limitGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_trigger_limit",
		Help: "Most submissions that may be under way at once, by lane.",
	}, []string{laneLabel})
	latency = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "penstock_trigger_latency_seconds",
		Help:    "Time from when a task could start to its Workflow's existence, in seconds, by lane.",
		Buckets: prometheus.ExponentialBuckets(0.01, 2, 16),
	}, []string{laneLabel})
	duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "penstock_trigger_duration_seconds",
		Help:    "Time from a claim to the end of its submission, in seconds, by lane.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
	}, []string{laneLabel})
	batchSize = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "penstock_batch_size",
		Help:    "Tasks taken by one claim, by lane.",
		Buckets: []float64{0, 1, 2, 5, 10, 20, 50, 100, 200},
	}, []string{laneLabel})
	batchDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "penstock_batch_duration_seconds",
		Help:    "Time that one group commit of completions takes, in seconds, by lane.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
	}, []string{laneLabel})
	gateClosed = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_backlog_gate_closed",
		Help: "1 while the backlog gate holds triggers of the lane back, else 0.",
	}, []string{laneLabel})
	outageGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_trigger_outage",
		Help: "1 while the API server has answered no submission of the lane for more than a second, else 0.",
	}, []string{laneLabel})
	backlog = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_backlog_active_workflows",
		Help: "Unfinished Workflows, when the backlog gate was asked last.",
	})
)

func init() {
	metrics.Registry.MustRegister(triggers, inFlight, limitGauge, latency, duration, batchSize, batchDuration, gateClosed, outageGauge, backlog)
}

// laneMetrics are those of one lane.
type laneMetrics struct {
	triggers                                    *prometheus.CounterVec
	inFlight, limit, gateClosed, outage         prometheus.Gauge
	latency, duration, batchSize, batchDuration prometheus.Observer
}

func metricsOf(lane string) laneMetrics {
	return laneMetrics{
		triggers: triggers.MustCurryWith(prometheus.Labels{laneLabel: lane}),
		inFlight: inFlight.WithLabelValues(lane), limit: limitGauge.WithLabelValues(lane), gateClosed: gateClosed.WithLabelValues(lane),
		outage:  outageGauge.WithLabelValues(lane),
		latency: latency.WithLabelValues(lane), duration: duration.WithLabelValues(lane),
		batchSize: batchSize.WithLabelValues(lane), batchDuration: batchDuration.WithLabelValues(lane),
	}
}
