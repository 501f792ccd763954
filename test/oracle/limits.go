package oracle

import (
	"context"
	"fmt"
)

// Limits are what I6 promises of all controllers of a world together.
type Limits struct {
	// InFlight is how many triggers may be in flight at once.
	InFlight int
	// Connections is how many connections to the database there may be.
	Connections int
	// WritesPerSecond and WriteBurst are the API's token bucket. What the network
	// and a busy machine hold up arrives in one lump: the burst is larger by that.
	WritesPerSecond, WriteBurst float64
}

// limits looks for what was above the limits: creates of Workflows that overlap at
// the API server, writes that the token bucket can't have let through, and
// connections.
func limits(_ context.Context, world World) ([]string, error) {
	if world.Limits == nil {
		return nil, nil
	}
	var found []string
	if most := world.Log.Attempts().MostAtOnce(); most > world.Limits.InFlight {
		found = append(found, fmt.Sprintf("I6: %d triggers were in flight at once, the limit is %d", most, world.Limits.InFlight))
	}
	if most := world.Log.Writes().Burst(world.Limits.WritesPerSecond); most > world.Limits.WriteBurst {
		found = append(found, fmt.Sprintf("I6: at %g a second the writes need a burst of %.0f, the limit is %.0f",
			world.Limits.WritesPerSecond, most, world.Limits.WriteBurst))
	}
	if world.Connections > world.Limits.Connections {
		found = append(found, fmt.Sprintf("I6: there were %d connections at once, the limit is %d", world.Connections, world.Limits.Connections))
	}
	return found, nil
}
