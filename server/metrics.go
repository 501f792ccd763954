package server

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// measures are the server's metrics. docs/api.md lists them.
type measures struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	streams   prometheus.Gauge
	hooks     *prometheus.CounterVec
	// hookDurations are of what was accepted alone: what is refused waits on purpose.
	hookDurations *prometheus.HistogramVec
}

func newMeasures(stat func() *pgxpool.Stat) *measures {
	m := &measures{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_server_requests_total", Help: "Requests that were answered, by route and HTTP status.",
		}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "penstock_server_request_duration_seconds", Help: "Time that an answer takes, in seconds, by route; streams are not measured.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"route"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_server_refusals_total", Help: "Requests that were refused, by HTTP status.",
		}, []string{"code"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "penstock_server_streams", Help: "Streams that are open.",
		}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_server_webhooks_total", Help: "Webhooks that were answered, by the receiver's type, which is unknown for what was not verified, and HTTP status.",
		}, []string{"type", "code"}),
		hookDurations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "penstock_server_webhook_duration_seconds", Help: "Time from a webhook's headers to its answer, in seconds, by the receiver's type, of those that were accepted.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"type"}),
	}
	m.registry.MustRegister(m.requests, m.durations, m.refusals, m.streams, m.hooks, m.hookDurations, connections{stat},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// connections tells of the pool when it is asked.
type connections struct{ stat func() *pgxpool.Stat }

var connectionsDesc = prometheus.NewDesc("penstock_server_db_connections", "Connections to Postgres, by state: idle, acquired or constructing.", []string{"state"}, nil)

// Describe implements prometheus.Collector.
func (connections) Describe(out chan<- *prometheus.Desc) { out <- connectionsDesc }

// Collect implements prometheus.Collector.
func (c connections) Collect(out chan<- prometheus.Metric) {
	stat := c.stat()
	for state, count := range map[string]int32{
		"idle": stat.IdleConns(), "acquired": stat.AcquiredConns(), "constructing": stat.ConstructingConns(),
	} {
		out <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(count), state)
	}
}
