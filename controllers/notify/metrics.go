package notify

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
)

var (
	attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_notifications_total",
		Help: "Attempts to send a notification, by type of the channel and by result: sent, retried, or given_up.",
	}, []string{"type", "result"})
	pending = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_notifications_pending",
		Help: "Notifications that wait to be sent, or to be tried again.",
	})
	oldest = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "penstock_notifications_oldest_seconds",
		Help: "For how long the notification waits that should have been sent first, in seconds; without those of suspended channels.",
	})
	sendSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "penstock_notifications_send_seconds",
		Help:    "Time that an attempt to send a notification took, failed ones included, in seconds, by type of the channel.",
		Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
	}, []string{"type"})
)

func init() {
	metrics.Registry.MustRegister(attempts, pending, oldest, sendSeconds)
	for _, kind := range []v1alpha1.ChannelType{v1alpha1.ChannelSlack, v1alpha1.ChannelEmail, v1alpha1.ChannelCommitStatus, v1alpha1.ChannelWebhook} {
		for _, result := range results {
			attempts.WithLabelValues(string(kind), result)
		}
	}
}

// results are the values of the label result, by what becomes of a notification.
var results = map[route.State]string{route.Sent: "sent", route.Waiting: "retried", route.GivenUp: "given_up"}

func count(kind v1alpha1.ChannelType, delivery store.Delivery, took time.Duration) {
	if kind == "" {
		return // there is no such channel
	}
	attempts.WithLabelValues(string(kind), results[delivery.State]).Inc()
	sendSeconds.WithLabelValues(string(kind)).Observe(took.Seconds())
}

// measure leaves the lateness of suspended channels out: nobody is to mend it.
func measure(counts map[types.NamespacedName]store.ChannelCount, channels []v1alpha1.NotificationChannel) {
	var waiting int64
	var longest time.Duration
	suspended := map[types.NamespacedName]bool{}
	for _, channel := range channels {
		suspended[types.NamespacedName{Namespace: channel.Namespace, Name: channel.Name}] = channel.Spec.Suspend
	}
	for channel, count := range counts {
		waiting += count.Waiting
		if !suspended[channel] {
			longest = max(longest, count.Oldest)
		}
	}
	pending.Set(float64(waiting))
	oldest.Set(longest.Seconds())
}
