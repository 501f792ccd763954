// Package clusters measures how close many lanes come to their API servers' rate limits
// together, what a lane whose cluster is a black hole costs the others, and how much memory a
// cluster takes that has nothing to do.
//
// Three real API servers are the clusters; home is a fourth one. A proxy gives each lane the UID
// of a cluster of its own, a link before the proxy makes it 50 ms away, and each lane has its own
// namespace, so that it never sees the Workflows of others. The controller is a process of its
// own. All triggers wait in the queue behind a gate (MAX_ACTIVE_WORKFLOWS): planning the builds of 20
// namespaces takes home's own limit. The clock runs from before the gate opens until the API server
// has answered the last create, as the proxy sees it. The lanes have served a build before, and Argo
// does not run.
package clusters

import (
	"context"
	"errors"
	"time"

	"github.com/penstock-cd/penstock/test/bench/stage"
)

const (
	// away is the round trip to a cluster.
	away = 50 * time.Millisecond
	// qps and burst are the limits of each lane.
	qps, burst = 5, 10
	// realServers is how many API servers the lanes share.
	realServers = 3
	// patience bounds one round.
	patience = 5 * time.Minute
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "clusters",
	Sentence: "triggers over 1, 5 and 20 lanes of other clusters at 5 requests per second each, one of them a black hole; 200 clusters that do nothing",
	Run:      run,
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	s := &scene{at: at, triggers: at.Size(100, 15)}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	made := &Result{TriggersPerLane: s.triggers, QPS: qps, Burst: burst, IdealSeconds: float64(s.triggers-burst) / qps}
	lanes := []int{1, at.Size(5, 2), at.Size(20, 4)}
	if err := s.addLanes(ctx, lanes[2], s.triggers); err != nil {
		return nil, err
	}
	if err := s.warm(ctx); err != nil {
		return nil, err
	}
	if err := s.races(ctx, made, lanes); err != nil {
		return nil, err
	}
	return made, s.idle(ctx, made, at.Size(200, 12))
}
