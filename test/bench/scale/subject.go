package scale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/witness"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	// idleInterval and idleShare say what idle is: less than this share of a core.
	idleInterval = 5 * time.Second
	idleShare    = 0.05
	// goroutinesInterval is how often goroutines are counted during the burst.
	goroutinesInterval = 250 * time.Millisecond

	cpuMetric        = "process_cpu_seconds_total"
	cyclesMetric     = "go_gc_cycles_total_gc_cycles_total"
	liveMetric       = "go_gc_heap_live_bytes"
	goroutinesMetric = "go_goroutines"
)

// subject is the controller that is measured.
type subject struct {
	*env.Controller
	cluster *fixture.Cluster
}

// launch starts the controller with its defaults, and returns how long it took to
// trigger the probe's build.
func launch(ctx context.Context, cluster *fixture.Cluster) (*subject, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen, err := witness.Watch(ctx, cluster.Client, namespace)
	if err != nil {
		return nil, 0, err
	}
	defer seen.Stop()
	began := time.Now()
	controller, err := cluster.LaunchController(env.ControllerOptions{})
	if err != nil {
		return nil, 0, err
	}
	triggered, err := seen.Await(ctx, probeCI, 1)
	return &subject{Controller: controller, cluster: cluster}, triggered.Sub(began), err
}

func (s *subject) memory() (measure.Memory, error) { return measure.MemoryOf(s.PID()) }

// idle returns the live heap once the controller is idle and the garbage collector,
// which runs every two minutes at least, has run since.
func (s *subject) idle(ctx context.Context) (float64, error) {
	if err := s.quiet(ctx); err != nil {
		return 0, err
	}
	before, err := measure.Metric(ctx, s.MetricsURL, cyclesMetric)
	if err != nil {
		return 0, err
	}
	err = wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		cycles, err := measure.Metric(ctx, s.MetricsURL, cyclesMetric)
		return cycles > before, err
	})
	if err != nil {
		return 0, fmt.Errorf("wait for a garbage collection: %w", err)
	}
	return measure.Metric(ctx, s.MetricsURL, liveMetric)
}

// quiet returns when the controller uses next to no time.
func (s *subject) quiet(ctx context.Context) error {
	used := -1.0
	err := wait.PollUntilContextTimeout(ctx, idleInterval, patience, true, func(ctx context.Context) (bool, error) {
		now, err := measure.Metric(ctx, s.MetricsURL, cpuMetric)
		is := used >= 0 && now-used < idleShare*idleInterval.Seconds()
		used = now
		return is, err
	})
	if err != nil {
		return fmt.Errorf("wait until the controller is idle: %w", err)
	}
	return nil
}

// burst finishes a build of so many children, waits until their Workflows exist and
// their status is written, and returns the most goroutines meanwhile.
func (s *subject) burst(ctx context.Context, triggers int) (int, error) {
	const build = "burst-1"
	if err := s.cluster.Builds(ctx, namespace, burstCI, build); err != nil {
		return 0, err
	}
	goroutines := measure.WatchPeak(ctx, goroutinesInterval, func(ctx context.Context) (int, error) {
		count, err := measure.Metric(ctx, s.MetricsURL, goroutinesMetric)
		return int(count), err
	})
	err := s.trigger(ctx, build, triggers)
	most, peakErr := goroutines.Stop()
	return most, errors.Join(err, peakErr)
}

func (s *subject) trigger(ctx context.Context, build string, triggers int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen, err := witness.Watch(ctx, s.cluster.Client, namespace)
	if err != nil {
		return err
	}
	defer seen.Stop()
	if _, err := s.cluster.Finish(ctx, namespace, build); err != nil {
		return err
	}
	if _, err := seen.Await(ctx, build, triggers); err != nil {
		return err
	}
	return s.cluster.AwaitLastRun(ctx, namespace, burstCI, build)
}
