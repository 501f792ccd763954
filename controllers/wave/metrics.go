package wave

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

var (
	waves = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_waves_total",
		Help: "Waves of rebuilds by what became of them: begun, Stopped, Succeeded, Failed or Cancelled.",
	}, []string{"state"})
	openWaves = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "penstock_waves_open",
		Help: "Waves of rebuilds that have not ended, by state: Running or Stopped.",
	}, []string{"state"})
	buildsMade = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "penstock_wave_builds_total",
		Help: "CiBuilds that were created for waves of rebuilds.",
	})
)

func init() { metrics.Registry.MustRegister(waves, openWaves, buildsMade) }

// measure sets the gauges. Of waves that are open since builds of them go on, none is counted.
func measure(open []store.Wave) {
	counts := map[v1alpha1.WaveState]int{v1alpha1.WaveRunning: 0, v1alpha1.WaveStopped: 0}
	for _, one := range open {
		if _, counted := counts[one.State]; counted {
			counts[one.State]++
		}
	}
	for state, count := range counts {
		openWaves.WithLabelValues(string(state)).Set(float64(count))
	}
}

// forgetMetrics of a replica that no longer leads: another one measures.
func forgetMetrics() { openWaves.Reset() }
