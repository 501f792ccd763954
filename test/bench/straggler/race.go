package straggler

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/product"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/workload"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

// race runs both, again and again, on the same parts.
type race struct {
	at      *stage.Stage
	cluster *fixture.Cluster
	product *product.Product
	hold    *hold
	family  given.Family
	runs    int
}

func (r *race) all(ctx context.Context, children map[int]int) (*Result, error) {
	result := &Result{}
	for _, n := range []int{5, 20} {
		limit, err := r.limit(ctx, n, children[n])
		if err != nil {
			return nil, err
		}
		result.Limits = append(result.Limits, limit)
	}
	return result, nil
}

// limit lets barrier and window take turns.
func (r *race) limit(ctx context.Context, n, children int) (Limit, error) {
	var barriers, pools []float64
	for round := range r.at.Rounds {
		r.hold.pick(r.family[:children], round)
		barrier, err := r.once(ctx, children, func() (time.Duration, error) { return r.barrier(ctx, n, children) })
		if err != nil {
			return Limit{}, fmt.Errorf("barrier of %d: %w", n, err)
		}
		pool, err := r.once(ctx, children, func() (time.Duration, error) { return r.product.Drain(ctx, n, children) })
		if err != nil {
			return Limit{}, fmt.Errorf("pool of %d: %w", n, err)
		}
		r.at.Say("round %d, %d in flight, %d children: barrier %.2f s, pool %.2f s", round+1, n, children, barrier.Seconds(), pool.Seconds())
		barriers, pools = append(barriers, barrier.Seconds()), append(pools, pool.Seconds())
	}
	limit := Limit{N: n, BarrierSeconds: measure.Median(barriers), PoolSeconds: measure.Median(pools), ExpectedSpeedup: expected(n)}
	limit.Speedup = limit.BarrierSeconds / limit.PoolSeconds
	return limit, nil
}

// once plans a new build, times one way to trigger its children, and clears up.
func (r *race) once(ctx context.Context, children int, trigger func() (time.Duration, error)) (time.Duration, error) {
	r.runs++
	load := workload.New(fmt.Sprintf("straggler-%d", r.runs), namespace, r.family, children)
	if err := r.product.Plan(ctx, load); err != nil {
		return 0, err
	}
	took, err := trigger()
	if err != nil {
		return 0, err
	}
	return took, r.cluster.DeleteWorkflows(ctx, namespace, nil)
}
