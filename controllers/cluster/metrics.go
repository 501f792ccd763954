package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

var (
	up = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_cluster_up",
		Help: "1 where the cluster is Healthy or Degraded, else 0, by cluster. Virtual and suspended ones have none.",
	}, []string{"cluster"})
	probeSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "penstock_cluster_probe_seconds",
		Help:    "Time that a probe of a cluster took, failed ones included, in seconds.",
		Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	})
	byPhase = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_clusters",
		Help: "TargetClusters, by phase.",
	}, []string{"phase"})
)

// phases are all values of the label phase.
var phases = []v1alpha1.ClusterPhase{
	v1alpha1.ClusterHealthy, v1alpha1.ClusterDegraded, v1alpha1.ClusterUnreachable, v1alpha1.ClusterUnauthorized,
	v1alpha1.ClusterVirtual, v1alpha1.ClusterUnknown,
}

func init() { metrics.Registry.MustRegister(up, probeSeconds, byPhase) }

// forgetMetrics of a replica that no longer leads: another one measures.
func forgetMetrics() {
	up.Reset()
	byPhase.Reset()
}
