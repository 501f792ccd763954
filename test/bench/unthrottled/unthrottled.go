// Package unthrottled measures what the queue costs where the API server alone sets
// the pace: Penstock's dispatch against a loop that does nothing but create the same
// Workflows with as many in flight.
package unthrottled

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/product"
	"github.com/penstock-cd/penstock/test/bench/stage"
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
		Cluster: cluster.ConfigFor(env.Penstock), DatabaseURL: cluster.DatabaseURL,
	})
	if err != nil {
		return nil, err
	}
	defer dispatch.Close()
	race := race{at: at, cluster: cluster, product: dispatch, family: family, workflows: at.Size(5000, 1000)}
	return race.all(ctx)
}
