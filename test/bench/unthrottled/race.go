package unthrottled

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/product"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/workload"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

// leastRounds is how often both run in full: the ratio of a single round differs by a tenth
// from the next.
const leastRounds = 5

// race runs both, again and again, on the same parts.
type race struct {
	at        *stage.Stage
	cluster   *fixture.Cluster
	product   *product.Product
	family    given.Family
	workflows int
	runs      int
}

func (r *race) all(ctx context.Context) (*Result, error) {
	raw, err := newLoop(r.cluster.ConfigFor(env.Penstock), namespace)
	if err != nil {
		return nil, err
	}
	// The first creates of a fresh API server are slow, whoever makes them.
	if _, err := r.once(ctx, 1, raw.run); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	result := &Result{}
	for _, n := range []int{5, 20} {
		one, err := r.inFlight(ctx, n, raw)
		if err != nil {
			return nil, err
		}
		result.InFlight = append(result.InFlight, one)
	}
	return result, nil
}

// inFlight lets both take turns, each first in every other round.
func (r *race) inFlight(ctx context.Context, n int, raw *loop) (InFlight, error) {
	var bare, ours, ratios []float64
	for round := range max(r.at.Rounds, r.at.Size(leastRounds, 1)) {
		took := map[string]time.Duration{}
		members := []string{"bare", "ours"}
		if round%2 == 1 {
			members = []string{"ours", "bare"}
		}
		for _, member := range members {
			trigger := raw.run
			if member == "ours" {
				trigger = r.penstock
			}
			var err error
			if took[member], err = r.once(ctx, n, trigger); err != nil {
				return InFlight{}, fmt.Errorf("%s, %d in flight: %w", member, n, err)
			}
		}
		bare = append(bare, float64(r.workflows)/took["bare"].Seconds())
		ours = append(ours, float64(r.workflows)/took["ours"].Seconds())
		ratios = append(ratios, took["bare"].Seconds()/took["ours"].Seconds())
		r.at.Say("round %d, %d in flight: bare loop %.0f/s, Penstock %.0f/s", round+1, n, bare[round], ours[round])
	}
	return InFlight{
		N: n, RawPerSecond: measure.Median(bare), PenstockPerSecond: measure.Median(ours), Ratio: measure.Median(ratios),
	}, nil
}

// once makes a new workload, times one way to trigger it, and clears up.
func (r *race) once(ctx context.Context, n int, trigger func(context.Context, int, workload.Workload) (time.Duration, error)) (time.Duration, error) {
	r.runs++
	load := workload.New(fmt.Sprintf("unthrottled-%d", r.runs), namespace, r.family, r.workflows)
	took, err := trigger(ctx, n, load)
	if err != nil {
		return 0, err
	}
	return took, r.cluster.DeleteWorkflows(ctx, namespace, nil)
}

// penstock triggers through the queue. The rows are there when the clock starts.
func (r *race) penstock(ctx context.Context, n int, load workload.Workload) (time.Duration, error) {
	if err := r.product.Plan(ctx, load); err != nil {
		return 0, err
	}
	return r.product.Drain(ctx, n, load.Triggers())
}
