package atlimit

import (
	"context"
	"errors"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/witness"
	"github.com/penstock-cd/penstock/test/given"
)

// round is one build's figures.
type round struct {
	seconds    float64
	roundTrips map[string]int // by query
	cost
}

// measureRound finishes a build and waits until its triggers, and then the status of
// every pipeline, are through.
func measureRound(ctx context.Context, cluster *fixture.Cluster, build string, triggers int) (round, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := cluster.Builds(ctx, namespace, given.CI, build); err != nil {
		return round{}, err
	}
	seen, err := witness.Watch(ctx, cluster.Client, namespace)
	if err != nil {
		return round{}, err
	}
	defer seen.Stop()
	connections, err := fixture.WatchConnections(ctx, cluster, "penstock")
	if err != nil {
		return round{}, err
	}
	before := time.Now()
	finished, err := cluster.Finish(ctx, namespace, build)
	if err == nil {
		_, err = seen.Await(ctx, build, triggers)
	}
	peak, peakErr := connections.Stop()
	if err := errors.Join(err, peakErr); err != nil {
		return round{}, err
	}
	if err := cluster.AwaitLastRun(ctx, namespace, given.CI, build); err != nil {
		return round{}, err
	}
	one, err := count(cluster, before, finished, triggers)
	one.PeakDBConnections = peak
	return one, err
}
