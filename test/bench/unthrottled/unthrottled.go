// Package unthrottled measures what the queue costs where the API server alone sets
// the pace: Penstock's dispatch against a loop that does nothing but create the same
// Workflows with as many in flight.
package unthrottled

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/measure"
	"github.com/penstock-cd/penstock/test/bench/product"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/workload"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const namespace = "unthrottled"

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "unthrottled",
	Sentence: "no API limit: dispatch against a bare loop of creates with as many in flight",
	Run:      run,
}

// InFlight is what was measured with n in flight.
type InFlight struct {
	N                 int     `json:"n"`
	RawPerSecond      float64 `json:"raw_per_second"`
	PenstockPerSecond float64 `json:"penstock_per_second"`
	Ratio             float64 `json:"ratio"` // the median of the rounds' own
}

// Result is the JSON.
type Result struct {
	InFlight []InFlight `json:"in_flight"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	rows := [][]string{{"in flight", "bare loop", "Penstock", "ratio"}}
	for _, one := range r.InFlight {
		rows = append(rows, []string{
			fmt.Sprint(one.N), fmt.Sprintf("%.0f/s", one.RawPerSecond), fmt.Sprintf("%.0f/s", one.PenstockPerSecond),
			fmt.Sprintf("%.2f", one.Ratio),
		})
	}
	return rows
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
	family, err := cluster.Family(ctx, namespace, given.CI, at.Size(1000, 250))
	if err != nil {
		return nil, err
	}
	dispatch, err := product.Open(ctx, product.Options{
		Cluster: cluster.ConfigFor(env.Penstock), DatabaseURL: cluster.DatabaseURL, Namespace: namespace,
	})
	if err != nil {
		return nil, err
	}
	defer dispatch.Close()
	race := race{at: at, cluster: cluster, product: dispatch, family: family, workflows: at.Size(5000, 1000)}
	return race.all(ctx)
}

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
	for round := range r.at.Rounds {
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
