// Package advise observes the metrics of this process, and keeps what the advice on its limits is
// computed from.
package advise

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/clock"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/tune"
)

// interval is the time between two reads of the metrics: rates are those of one interval.
const interval = 10 * time.Second

// Config is what an Adviser works with. Every field is required.
type Config struct {
	// Metrics reads those of this process.
	Metrics func() ([]*dto.MetricFamily, error)
	// Limits are those in force.
	Limits func() []config.InForce
	// Environment has what can't be changed while the process runs.
	Environment config.Config
	Clock       clock.PassiveClock
	Log         logr.Logger
}

// Adviser looks at the metrics again and again.
type Adviser struct {
	*loop.Loop
	config Config
	before tune.Snapshot
	at     time.Time // zero before the first look
	told   atomic.Pointer[tune.Measured]
}

// New returns an adviser that looks at nothing until it is started.
func New(config Config) *Adviser {
	a := &Adviser{config: config}
	a.Loop = loop.New(loop.Config{Name: "advise", Run: a.runOnce, Interval: interval, Log: config.Log})
	return a
}

// Measured is what the last two looks said; nil before the second.
func (a *Adviser) Measured() *tune.Measured { return a.told.Load() }

func (a *Adviser) runOnce(context.Context) (time.Duration, error) {
	families, err := a.config.Metrics()
	if err != nil {
		return 0, fmt.Errorf("read the metrics of this process: %w", err)
	}
	after, err := tune.Of(families)
	if err != nil {
		return 0, err
	}
	now := a.config.Clock.Now()
	if !a.at.IsZero() {
		a.keep(after, now.Sub(a.at))
	}
	a.before, a.at = after, now
	return 0, nil
}

// keep computes what is told. What is no number is not told: it can't be kept as JSON.
func (a *Adviser) keep(after tune.Snapshot, elapsed time.Duration) {
	in := tune.Inputs{CallsPerTrigger: 1, Lease: a.config.Environment.TriggerLease, FreeConnections: a.config.Environment.DatabaseMaxConns}
	for _, limit := range a.config.Limits() {
		if rate, err := strconv.ParseFloat(limit.Value, 64); err == nil && limit.Name == "KUBE_API_QPS" {
			in.Rate = rate
		}
	}
	in = in.Learn(a.before, after)
	now := tune.Compare(in, tune.Advise(in), a.before, after, elapsed)
	for _, figure := range []float64{in.Rate, in.Cores, now.PerSecond, now.Needed, now.Limit, now.InFlight, now.Waiting} {
		if math.IsNaN(figure) || math.IsInf(figure, 0) {
			return
		}
	}
	a.told.Store(&tune.Measured{Inputs: in, Now: now})
}
