// Package latency measures how long an idle system takes from a build's success to
// its Workflow.
//
// The controller is a process of its own with its defaults. The clock runs from the
// status patch's return until a watch shows the Workflow. The next build finishes
// only when the status of the last one tells of its end.
package latency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/witness"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	namespace = "latency"
	// patience bounds the wait for one Workflow.
	patience = time.Minute
	// tell is after how many builds there is a line of progress.
	tell = 50
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "latency",
	Sentence: "an idle system: from a build's success to its Workflow, one build after another",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`

	builds int
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"builds", "p50", "p99"},
		{fmt.Sprint(r.builds), fmt.Sprintf("%.1f ms", r.P50), fmt.Sprintf("%.1f ms", r.P99)},
	}
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	cluster, err := fixture.New(parts)
	if err != nil {
		return nil, err
	}
	if err := cluster.Prepare(ctx, namespace); err != nil {
		return nil, err
	}
	if _, err := cluster.Family(ctx, namespace, given.CI, 1); err != nil {
		return nil, err
	}
	if _, err := cluster.StartController(ctx, env.ControllerOptions{}); err != nil {
		return nil, err
	}
	if err := cluster.AwaitReady(ctx, namespace); err != nil {
		return nil, err
	}
	seen, err := witness.Watch(ctx, cluster.Client, namespace)
	if err != nil {
		return nil, err
	}
	defer seen.Stop()
	times, err := finishBuilds(ctx, at, cluster, seen, at.Size(200, 20))
	if err != nil {
		return nil, err
	}
	return &Result{
		P50: measure.Milliseconds(measure.Percentile(times, 50)), P99: measure.Milliseconds(measure.Percentile(times, 99)),
		builds: len(times),
	}, nil
}

// finishBuilds returns how long each build's Workflow took. A first build, whose
// queries and connections are new, is not counted.
func finishBuilds(ctx context.Context, at *stage.Stage, cluster *fixture.Cluster, seen *witness.Witness, builds int) ([]time.Duration, error) {
	names := make([]string, builds+1)
	for i := range names {
		names[i] = fmt.Sprintf("latency-%d", i)
	}
	if err := cluster.Builds(ctx, namespace, given.CI, names...); err != nil {
		return nil, err
	}
	var times []time.Duration
	for i, name := range names {
		took, err := finish(ctx, cluster, seen, name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			times = append(times, took)
		}
		if i%tell == 0 {
			at.Say("%d of %d builds, the last in %.1f ms", i, builds, measure.Milliseconds(took))
		}
	}
	return times, nil
}

func finish(ctx context.Context, cluster *fixture.Cluster, seen *witness.Witness, build string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	finished, err := cluster.Finish(ctx, namespace, build)
	if err != nil {
		return 0, err
	}
	exists, err := seen.Await(ctx, build, 1)
	if err != nil {
		return 0, err
	}
	// The Workflow may be there before the patch has returned.
	return max(exists.Sub(finished), 0), cluster.AwaitTriggered(ctx, namespace, build)
}
