package clusters

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/link"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	cyclesMetric     = "go_gc_cycles_total_gc_cycles_total"
	liveMetric       = "go_gc_heap_live_bytes"
	stacksMetric     = "go_memstats_stack_inuse_bytes"
	goroutinesMetric = "go_goroutines"
	// cpuTime is for how long the controller's processor time is measured.
	cpuTime = 10 * time.Second
)

// idle adds clusters, each of which has one Workflow that goes on, and measures what they add to
// the controller's memory.
func (s *scene) idle(ctx context.Context, into *Result, most int) error {
	if err := s.home.Set(ctx, fixture.QPSBetween, nil); err != nil {
		return err
	}
	before, err := s.memory(ctx)
	if err != nil {
		return err
	}
	s.at.Say("%d lanes idle with %.1f MiB of heap and stacks", len(s.lanes), before.live/(1<<20))
	first := len(s.lanes)
	if err := s.addLanes(ctx, most, 1); err != nil {
		return err
	}
	began := time.Now()
	if err := errors.Join(s.finish(ctx, s.lanes[first:]), s.await(ctx, s.lanes[first:], began)); err != nil {
		return err
	}
	s.at.Say("each of %d clusters has a Workflow that goes on", most)
	after, err := s.memory(ctx)
	if err != nil {
		return err
	}
	added := float64(most - first)
	into.Idle = Idle{
		Clusters: most, BytesPerCluster: (after.live - before.live) / added, RSSPerCluster: float64(after.resident-before.resident) / added,
		RSSBytes: after.resident, Goroutines: after.goroutines, CPUShare: after.cpu,
	}
	return nil
}

// memory is that of the controller.
type memory struct {
	live       float64 // heap and stacks
	resident   int64
	goroutines int
	cpu        float64
}

// memory waits until no status is left to write and the garbage collector has run since.
func (s *scene) memory(ctx context.Context) (memory, error) {
	if err := s.home.Settle(ctx); err != nil {
		return memory{}, err
	}
	cycles, err := s.metric(ctx, cyclesMetric)
	if err != nil {
		return memory{}, err
	}
	err = wait.PollUntilContextTimeout(ctx, 20*look, patience, true, func(ctx context.Context) (bool, error) {
		now, err := s.metric(ctx, cyclesMetric)
		return now > cycles, err
	})
	if err != nil {
		return memory{}, fmt.Errorf("wait for a garbage collection: %w", err)
	}
	return s.read(ctx)
}

func (s *scene) read(ctx context.Context) (seen memory, err error) {
	figures := map[string]float64{}
	for _, name := range []string{liveMetric, stacksMetric, goroutinesMetric, cpuMetric} {
		if figures[name], err = s.metric(ctx, name); err != nil {
			return memory{}, err
		}
	}
	resident, err := measure.MemoryOf(s.home.Controller.PID())
	if err != nil {
		return memory{}, err
	}
	link.Wait(ctx, cpuTime)
	used, err := s.metric(ctx, cpuMetric)
	return memory{
		live: figures[liveMetric] + figures[stacksMetric], resident: resident.Resident,
		goroutines: int(figures[goroutinesMetric]), cpu: (used - figures[cpuMetric]) / cpuTime.Seconds(),
	}, err
}

func (s *scene) metric(ctx context.Context, name string) (float64, error) {
	return measure.Metric(ctx, s.home.Controller.MetricsURL, name)
}
