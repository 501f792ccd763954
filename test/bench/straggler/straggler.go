// Package straggler measures what slow children cost a batch barrier and a sliding
// window.
//
// Every twentieth create is held ten times as long as the others, on its way to the
// API server. A barrier waits for the slowest of each batch: for n children it needs
// 1 + 9·(1 − 0.95ⁿ) units of time, a window 1.45.
package straggler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/product"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	namespace = "straggler"
	// unit is what a create takes; far above what it costs, so that the cores are
	// not the limit.
	unit = 100 * time.Millisecond
	// slowness is how many units a straggler takes, slowShare how many children are
	// stragglers.
	slowness  = 10
	slowShare = 0.05
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "straggler",
	Sentence: "5 % of the children take ten times as long: batch barrier against sliding window",
	Run:      run,
}

// Limit is what was measured with n in flight.
type Limit struct {
	N               int     `json:"n"`
	BarrierSeconds  float64 `json:"barrier_seconds"`
	PoolSeconds     float64 `json:"pool_seconds"`
	Speedup         float64 `json:"speedup"`
	ExpectedSpeedup float64 `json:"expected_speedup"`
}

// Result is the JSON.
type Result struct {
	Limits []Limit `json:"limits"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	rows := [][]string{{"in flight", "barrier", "pool", "speedup", "expected"}}
	for _, limit := range r.Limits {
		rows = append(rows, []string{
			fmt.Sprint(limit.N), fmt.Sprintf("%.2f s", limit.BarrierSeconds), fmt.Sprintf("%.2f s", limit.PoolSeconds),
			fmt.Sprintf("%.2f", limit.Speedup), fmt.Sprintf("%.2f", limit.ExpectedSpeedup),
		})
	}
	return rows
}

// expected is the speedup by arithmetic.
func expected(n int) float64 {
	share := 1 - math.Pow(1-slowShare, float64(n))
	return (1 + (slowness-1)*share) / (1 + (slowness-1)*slowShare)
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
	most := at.Size(1400, 200)
	family, err := prepare(ctx, cluster, most)
	if err != nil {
		return nil, err
	}
	slow := &hold{unit: unit}
	dispatch, err := product.Open(ctx, product.Options{
		Cluster: cluster.ConfigFor(env.Penstock), DatabaseURL: cluster.DatabaseURL, Wrap: slow.wrap,
	})
	if err != nil {
		return nil, err
	}
	defer dispatch.Close()
	race := race{at: at, cluster: cluster, product: dispatch, hold: slow, family: family}
	// With more slots a run needs more children until the last few, which leave slots
	// empty, do not count.
	return race.all(ctx, map[int]int{5: most / 2, 20: most})
}

func prepare(ctx context.Context, cluster *fixture.Cluster, children int) (given.Family, error) {
	if err := cluster.Prepare(ctx, namespace); err != nil {
		return nil, err
	}
	return cluster.Family(ctx, namespace, given.CI, children)
}
