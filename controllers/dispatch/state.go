package dispatch

import (
	"maps"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

// maxDelayMessage bounds, in bytes, what is said of each namespace that is shut.
const maxDelayMessage = 256

// State is what the dispatcher does now.
func (d *Dispatcher) State() store.LaneState {
	closed, active, most := d.gate.Closed()
	triggered, observed := d.created.count(time.Now())
	return store.LaneState{
		InFlight: d.pool.InFlight(), Limit: d.pool.Limit(), Triggered: triggered, Observed: observed,
		GateClosed: closed, Active: active, MaxActive: max(most, 0), Delays: d.delays(),
	}
}

// delays are what is known of the first of the namespaces that are shut.
func (d *Dispatcher) delays() map[string]limit.Delay {
	known := map[string]limit.Delay{}
	for _, namespace := range slices.Sorted(maps.Keys(d.causes.Shut())) {
		if delay, shut := d.causes.Of(namespace); shut && len(known) < store.MaxDelays {
			delay.Message = clip.Text(delay.Message, maxDelayMessage)
			known[namespace] = delay
		}
	}
	return known
}
