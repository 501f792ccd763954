// Package gauge observes the queue, the database pool and the API's token bucket,
// and writes metrics only.
package gauge

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/loop"
)

// queueInterval is how often the queue is measured.
const queueInterval = 15 * time.Second

var (
	queueDepth = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_trigger_queue_depth",
		Help: "Tasks that wait for a slot, without those that are set aside with their namespace (penstock_delayed_tasks).",
	})
	queueOldest = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_trigger_queue_oldest_seconds",
		Help: "Age of the oldest task that waits for a slot and is not set aside, in seconds.",
	})
	delayedTasks = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_delayed_tasks",
		Help: "Tasks that wait because Workflows are refused or their namespace has its share, by reason.",
	}, []string{"reason"})
	apiWait = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "penstock_kube_api_wait_seconds",
		Help:    "Time that a request waited for the token bucket, in seconds, by class.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
	}, []string{"class"})
	apiErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_kube_api_errors_total",
		Help: "Answers of the Kubernetes API with a status of 400 and above, and 0 for none at all.",
	}, []string{"code"})

	apiPaused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "penstock_kube_api_paused_seconds_total",
		Help: "Time for which the Kubernetes API asked all requests to stop, with answers of 429, in seconds.",
	})
)

// databaseWait is a histogram of its own, since the pool knows only the sum.
var databaseWait = prometheus.NewHistogram(prometheus.HistogramOpts{
	Name:    "penstock_db_acquire_wait_seconds",
	Help:    "Time that a call waited for a connection to Postgres, in seconds.",
	Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
})

func init() {
	metrics.Registry.MustRegister(queueDepth, queueOldest, delayedTasks, apiWait, apiErrors, apiPaused, databaseWait)
}

// DatabaseWait is for store.Config.OnAcquire.
func DatabaseWait(waited time.Duration) { databaseWait.Observe(waited.Seconds()) }

// APIPause is for limit.Bucket.OnPause.
func APIPause(longer time.Duration) { apiPaused.Add(longer.Seconds()) }

// APIWait is for limit.Bucket.OnWait.
func APIWait(class string, waited time.Duration) {
	apiWait.WithLabelValues(class).Observe(waited.Seconds())
}

// WrapTransport is for rest.Config.Wrap: it counts the answers that are errors.
func WrapTransport(next http.RoundTripper) http.RoundTripper { return countErrors{next} }

type countErrors struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (c countErrors) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(request)
	switch {
	case err != nil:
		apiErrors.WithLabelValues("0").Inc()
	case response.StatusCode >= http.StatusBadRequest:
		apiErrors.WithLabelValues(strconv.Itoa(response.StatusCode)).Inc()
	}
	return response, err
}

// WrappedRoundTripper lets apimachinery find the transport inside.
func (c countErrors) WrappedRoundTripper() http.RoundTripper { return c.next }

// Depth returns the number of waiting tasks and the age of the oldest.
type Depth func(context.Context) (rows int64, oldest time.Duration, err error)

// Delayed returns the number of tasks that wait because Workflows are refused, by reason.
type Delayed func(context.Context) (map[string]int64, error)

// Queue measures the queue.
type Queue struct {
	*loop.Loop
	depth   Depth
	delayed Delayed
}

// NewQueue returns a gauge that measures nothing until it is started.
func NewQueue(depth Depth, delayed Delayed, log logr.Logger) *Queue {
	q := &Queue{depth: depth, delayed: delayed}
	q.Loop = loop.New(loop.Config{
		Name: "gauge", Run: q.runOnce, Interval: queueInterval,
		OnError: func(err error, _ time.Duration) { log.Error(err, "queue not measured") },
		Log:     log,
	})
	return q
}

// runOnce measures. An error leaves the figures as they were.
func (q *Queue) runOnce(ctx context.Context) (time.Duration, error) {
	rows, oldest, err := q.depth(ctx)
	if err != nil {
		return 0, err
	}
	queueDepth.Set(float64(rows))
	queueOldest.Set(oldest.Seconds())
	delayed, err := q.delayed(ctx)
	if err != nil {
		return 0, err
	}
	delayedTasks.Reset() // a reason that delays nothing any more is not told
	for reason, tasks := range delayed {
		delayedTasks.WithLabelValues(reason).Set(float64(tasks))
	}
	return 0, nil
}

// Pool is a prometheus.Collector of a connection pool.
type Pool struct{ Stat func() *pgxpool.Stat }

var connections = prometheus.NewDesc("penstock_db_connections", "Connections to Postgres, by state: idle, acquired or constructing.", []string{"state"}, nil)

// Describe implements prometheus.Collector.
func (p Pool) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- connections }

// Collect implements prometheus.Collector.
func (p Pool) Collect(values chan<- prometheus.Metric) {
	stat := p.Stat()
	for state, count := range map[string]int32{
		"idle": stat.IdleConns(), "acquired": stat.AcquiredConns(), "constructing": stat.ConstructingConns(),
	} {
		values <- prometheus.MustNewConstMetric(connections, prometheus.GaugeValue, float64(count), state)
	}
}
