package clusters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	// look is how often the lanes' creates are counted.
	look      = 50 * time.Millisecond
	cpuMetric = "process_cpu_seconds_total"
)

// warm has every lane served, at a high rate.
func (s *scene) warm(ctx context.Context) error {
	if err := s.home.Set(ctx, fixture.QPSBetween, nil); err != nil {
		return err
	}
	began := time.Now()
	err := errors.Join(s.finish(ctx, s.lanes), s.await(ctx, s.lanes, began))
	s.at.Say("every lane has served a build")
	return err
}

// races measures each number of lanes, and the largest one also with a black hole.
func (s *scene) races(ctx context.Context, into *Result, sizes []int) error {
	for _, size := range sizes {
		var rounds []round
		for range s.at.Rounds {
			one, err := s.round(ctx, s.lanes[:size], nil)
			if err != nil {
				return err
			}
			rounds = append(rounds, one)
		}
		seconds := measure.MedianOf(rounds, round.seconds)
		into.Runs = append(into.Runs, Run{
			Lanes: size, Triggers: size * s.triggers, Seconds: seconds, Efficiency: into.IdealSeconds / seconds,
			CPUShare: measure.MedianOf(rounds, func(r round) float64 { return r.cpu }),
		})
		into.BlackHole.SecondsWithout = measure.MedianOf(rounds, round.othersSeconds) // that of the last size counts
	}
	return s.blackHole(ctx, &into.BlackHole)
}

func (s *scene) blackHole(ctx context.Context, into *BlackHole) error {
	var rounds []round
	for range s.at.Rounds {
		one, err := s.round(ctx, s.lanes, s.lanes[0])
		if err != nil {
			return err
		}
		rounds = append(rounds, one)
	}
	into.Lanes, into.SecondsWith = len(s.lanes)-1, measure.MedianOf(rounds, round.othersSeconds)
	into.Ratio = into.SecondsWithout / into.SecondsWith
	return nil
}

// round is one build in each lane.
type round struct {
	all, others time.Duration // until the last lane is through, and the last but the first one
	cpu         float64
}

func (r round) seconds() float64       { return r.all.Seconds() }
func (r round) othersSeconds() float64 { return r.others.Seconds() }

// gate is the setting that keeps everything from being triggered while it is 1.
const gate = "MAX_ACTIVE_WORKFLOWS"

// round has a build in each lane planned while the gate is closed and all else is written, and
// opens the gate. hole swallows everything from then on, and is through before round returns.
func (s *scene) round(ctx context.Context, lanes []*lane, hole *lane) (round, error) {
	if err := s.queue(ctx, lanes); err != nil {
		return round{}, err
	}
	used, err := s.metric(ctx, cpuMetric)
	if err != nil {
		return round{}, err
	}
	for _, one := range lanes {
		one.takeOthers()
	}
	if hole != nil {
		hole.link.Swallow(true)
	}
	began := time.Now()
	if err := errors.Join(s.home.Set(ctx, qps, map[string]string{gate: "0"}), s.await(ctx, without(lanes, hole), began)); err != nil {
		return round{}, err
	}
	one := durations(lanes, began)
	after, err := s.metric(ctx, cpuMetric)
	one.cpu = (after - used) / time.Since(began).Seconds()
	slowest := s.slowest(without(lanes, hole), began)
	s.at.Say("%d lanes: %.2f s, but for the first %.2f s; %.2f of a core; %s: %s; beside creates: %v",
		len(lanes), one.seconds(), one.othersSeconds(), one.cpu, slowest.name, slowest.progress(began), slowest.takeOthers())
	if hole == nil || err != nil {
		return one, err
	}
	hole.link.Swallow(false)
	return one, errors.Join(s.home.Set(ctx, fixture.QPSBetween, nil), s.await(ctx, []*lane{hole}, began))
}

// queue has a build succeed in each lane, and waits until all its tasks wait and no status is
// left to write.
func (s *scene) queue(ctx context.Context, lanes []*lane) error {
	if err := s.home.Set(ctx, fixture.QPSBetween, map[string]string{gate: "1"}); err != nil {
		return err
	}
	if err := s.finish(ctx, lanes); err != nil {
		return err
	}
	want, waiting := 0, 0
	for _, one := range lanes {
		want += one.pipelines
	}
	err := wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		err := s.home.Rows.QueryRow(ctx, "SELECT count(*) FROM task WHERE status = 'Pending'").Scan(&waiting)
		return waiting == want, err
	})
	if err != nil {
		return fmt.Errorf("%d tasks wait instead of %d: %w", waiting, want, err)
	}
	return s.home.Settle(ctx)
}

// finish has a build succeed in each lane.
func (s *scene) finish(ctx context.Context, lanes []*lane) error {
	s.rounds++
	build := fmt.Sprintf("build-%d", s.rounds)
	return errors.Join(bounded.ForEach(ctx, addAtOnce, patience, lanes, func(ctx context.Context, one *lane) error {
		if err := s.home.Builds(ctx, one.name, given.CI, build); err != nil {
			return err
		}
		_, err := s.home.Finish(ctx, one.name, build)
		return err
	})...)
}

func without(lanes []*lane, hole *lane) []*lane {
	return slices.DeleteFunc(slices.Clone(lanes), func(one *lane) bool { return one == hole })
}

// slowest is the lane that was through last.
func (s *scene) slowest(lanes []*lane, began time.Time) *lane {
	return slices.MaxFunc(lanes, func(a, b *lane) int {
		_, lastA := a.created(began)
		_, lastB := b.created(began)
		return lastA.Compare(lastB)
	})
}

func durations(lanes []*lane, began time.Time) (one round) {
	for i, lane := range lanes {
		_, last := lane.created(began)
		one.all = max(one.all, last.Sub(began))
		if i > 0 {
			one.others = max(one.others, last.Sub(began))
		}
	}
	return one
}

// await waits until each lane has created as many Workflows as it has pipelines.
func (s *scene) await(ctx context.Context, lanes []*lane, since time.Time) error {
	missing := 0
	err := wait.PollUntilContextTimeout(ctx, look, patience, true, func(context.Context) (bool, error) {
		missing = 0
		for _, one := range lanes {
			count, _ := one.created(since)
			missing += max(0, one.pipelines-count)
		}
		return missing == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%d Workflows are missing: %w", missing, err)
	}
	return nil
}
