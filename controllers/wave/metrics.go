package wave

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	waves = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_waves_total",
		Help: "Waves of rebuilds by what became of them: begun, Stopped, Succeeded, Failed or Cancelled.",
	}, []string{"state"})
	buildsMade = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "penstock_wave_builds_total",
		Help: "CiBuilds that were created for waves of rebuilds.",
	})
)

func init() { metrics.Registry.MustRegister(waves, buildsMade) }
