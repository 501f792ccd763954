package oracle

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Limits are what I6 promises of all controllers of a world together.
type Limits struct {
	// InFlight is how many triggers of stages may be in flight at once, and Builds how many of
	// builds, which have a pool of their own.
	InFlight, Builds int
	// Connections is how many connections to the database there may be.
	Connections int
	// WritesPerSecond and WriteBurst are the API's token bucket. What the network
	// and a busy machine hold up arrives in one lump: the burst is larger by that.
	WritesPerSecond, WriteBurst float64
}

// limits looks for what was above the limits: creates of Workflows that overlap at
// the API server, writes that the token bucket can't have let through, and
// connections.
func limits(ctx context.Context, world World) ([]string, error) {
	if world.Limits == nil {
		return nil, nil
	}
	builds, err := buildWorkflows(ctx, world)
	if err != nil {
		return nil, err
	}
	var found []string
	if most := world.Log.Attempts().Named(builds, false).MostAtOnce(); most > world.Limits.InFlight {
		found = append(found, fmt.Sprintf("I6: %d triggers were in flight at once, the limit is %d", most, world.Limits.InFlight))
	}
	if most := world.Log.Attempts().Named(builds, true).MostAtOnce(); most > world.Limits.Builds {
		found = append(found, fmt.Sprintf("I6: %d builds were in flight at once, the limit is %d", most, world.Limits.Builds))
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

// buildWorkflows are the names of the Workflows of builds.
func buildWorkflows(ctx context.Context, world World) (map[string]bool, error) {
	rows, err := world.Database.Query(ctx, `SELECT workflow_name FROM task WHERE kind = 'ci'`)
	if err != nil {
		return nil, fmt.Errorf("read the Workflows of builds: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the Workflows of builds: %w", err)
	}
	builds := make(map[string]bool, len(names))
	for _, name := range names {
		builds[name] = true
	}
	return builds, nil
}
