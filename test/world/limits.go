package world

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/test/oracle"
)

// held is how long the network and a busy machine may hold writes up, which then
// arrive in one lump.
const held = time.Second

// raiseLimits makes the limits as high as those of the controllers that run now,
// together, and counts connections from the start of the oldest of them.
func (w *World) raiseLimits() {
	w.t.Helper()
	var together oracle.Limits
	for _, controller := range w.controllers {
		select {
		case <-controller.Ended():
			continue
		default:
		}
		if together == (oracle.Limits{}) {
			w.connections.count(controller.launched)
		}
		together.InFlight += controller.limits.InFlight
		together.Builds += controller.limits.Builds
		together.Connections += controller.limits.Connections
		together.WritesPerSecond += controller.limits.WritesPerSecond
		together.WriteBurst += controller.limits.WriteBurst
	}
	w.Limits.InFlight = max(w.Limits.InFlight, together.InFlight)
	w.Limits.Builds = max(w.Limits.Builds, together.Builds)
	w.Limits.Connections = max(w.Limits.Connections, together.Connections)
	w.Limits.WritesPerSecond = max(w.Limits.WritesPerSecond, together.WritesPerSecond)
	w.Limits.WriteBurst = max(w.Limits.WriteBurst, together.WriteBurst)
}

// limitsOf are what these environment variables promise.
func (w *World) limitsOf(variables []string) oracle.Limits {
	w.t.Helper()
	environment := map[string]string{"DATABASE_URL": w.DatabaseURL}
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		environment[name] = value
	}
	settings, _, err := config.Load(environment)
	require.NoError(w.t, err)
	limits := oracle.Limits{
		InFlight: settings.BatchSize.Size, Builds: settings.CiBatchSize, Connections: settings.DatabaseMaxConns,
		WritesPerSecond: float64(settings.KubeAPIQPS),
		WriteBurst:      float64(settings.KubeAPIBurst) + float64(settings.KubeAPIQPS)*held.Seconds(),
	}
	if settings.BatchSize.Auto {
		limits.InFlight = settings.BatchSizeCeiling
	}
	return limits
}
