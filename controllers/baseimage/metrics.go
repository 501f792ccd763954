package baseimage

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

var (
	checks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_base_image_checks_total",
		Help: "Checks of base images that have ended, by result: Changed, Unchanged, Error (Penstock's own), or the reason of the failure.",
	}, []string{"result"})
	checkSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "penstock_base_image_check_seconds",
		Help:    "Time that asking a registry for a digest took, failed ones included, in seconds.",
		Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
	})
	byReason = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_base_images",
		Help: "BaseImages, by the reason of their condition Ready.",
	}, []string{"reason"})
)

// The results of checks beside the reasons.
const changed, unchanged, ownFailure = "Changed", "Unchanged", "Error"

// refusals are the reasons of checks that fail.
var refusals = []v1alpha1.Reason{
	v1alpha1.ReasonRegistryRefused, v1alpha1.ReasonRegistryUnreachable, v1alpha1.ReasonRateLimited, v1alpha1.ReasonImageNotFound,
	v1alpha1.ReasonInvalidAnswer, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonInvalidSecret, v1alpha1.ReasonForbidden,
}

func init() {
	metrics.Registry.MustRegister(checks, checkSeconds, byReason)
	for _, result := range []string{changed, unchanged, ownFailure} {
		checks.WithLabelValues(result)
	}
	for _, reason := range refusals {
		checks.WithLabelValues(string(reason))
	}
}

// count notes a check that has ended, of an image that had that digest before.
func count(before string, v verdict) {
	result := string(v.reason)
	switch {
	case v.isOwn:
		result = ownFailure
	case v.reason == v1alpha1.ReasonChecked && v.digest == before:
		result = unchanged
	case v.reason == v1alpha1.ReasonChecked:
		result = changed
	}
	checks.WithLabelValues(result).Inc()
}

// measure sets the gauges.
func (c *Checker) measure() {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[v1alpha1.Reason]int{}
	for _, known := range c.records {
		counts[known.verdict.reason]++
	}
	counts[v1alpha1.ReasonUnchecked] += counts[""]
	for _, reason := range append([]v1alpha1.Reason{v1alpha1.ReasonChecked, v1alpha1.ReasonUnchecked, v1alpha1.ReasonSuspended, v1alpha1.ReasonInvalidSpec}, refusals...) {
		byReason.WithLabelValues(string(reason)).Set(float64(counts[reason]))
	}
}

// forgetMetrics of a replica that no longer leads: another one measures.
func forgetMetrics() { byReason.Reset() }
