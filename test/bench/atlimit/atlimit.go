// Package atlimit measures how close a large build comes to the API's rate limit, and
// what each trigger costs the API server and the database.
//
// The controller is a process of its own with its defaults. The clock runs from the
// status patch's return until the API server has answered the last create, by its
// audit log. Round trips are what Postgres logs: each statement, and the first time
// that a connection prepares it.
package atlimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	namespace = "at-limit"
	// patience bounds one round; a thousand children need 20 s.
	patience = 5 * time.Minute
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "at_limit",
	Sentence: "a large build through the real controller at 50 requests per second",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	Triggers     int     `json:"triggers"`
	QPS          int     `json:"qps"`
	Burst        int     `json:"burst"`
	IdealSeconds float64 `json:"ideal_seconds"` // what the token bucket alone needs
	Seconds      float64 `json:"seconds"`
	Efficiency   float64 `json:"efficiency"` // ideal by measured
	cost
}

// cost is what was measured beside the time, until the last Workflow existed.
type cost struct {
	APIWritesPerTrigger    float64 `json:"api_writes_per_trigger"`
	DBRoundTripsPerTrigger float64 `json:"db_round_trips_per_trigger"`
	PeakDBConnections      int     `json:"peak_db_connections"`
	PeakInFlight           int     `json:"peak_in_flight"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"triggers", "ideal", "measured", "efficiency", "API writes each", "round trips each", "connections", "in flight"},
		{
			fmt.Sprint(r.Triggers), fmt.Sprintf("%.2f s", r.IdealSeconds), fmt.Sprintf("%.2f s", r.Seconds), fmt.Sprintf("%.3f", r.Efficiency),
			fmt.Sprintf("%.3f", r.APIWritesPerTrigger), fmt.Sprintf("%.3f", r.DBRoundTripsPerTrigger),
			fmt.Sprint(r.PeakDBConnections), fmt.Sprint(r.PeakInFlight),
		},
	}
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{Audit: true, PostgresSettings: logSettings})
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
	triggers := at.Size(1000, 200)
	if _, err := cluster.Family(ctx, namespace, given.CI, triggers); err != nil {
		return nil, err
	}
	if _, err := cluster.StartController(ctx, env.ControllerOptions{Env: fixture.LimitEnv()}); err != nil {
		return nil, err
	}
	return measureRounds(ctx, at, cluster, triggers)
}

func measureRounds(ctx context.Context, at *stage.Stage, cluster *fixture.Cluster, triggers int) (*Result, error) {
	at.Say("waiting until the controller has written that %d pipelines are ready", triggers)
	if err := cluster.AwaitReady(ctx, namespace); err != nil {
		return nil, err
	}
	var rounds []round
	for i := range at.Rounds {
		one, err := measureRound(ctx, cluster, fmt.Sprintf("at-limit-%d", i+1), triggers)
		if err != nil {
			return nil, err
		}
		at.Say("round %d: %d triggers in %.2f s; round trips: %s", i+1, triggers, one.seconds, most(one.roundTrips))
		rounds = append(rounds, one)
	}
	return summarize(rounds, triggers), nil
}

func summarize(rounds []round, triggers int) *Result {
	r := &Result{
		Triggers: triggers, QPS: fixture.QPS, Burst: fixture.Burst,
		IdealSeconds: fixture.IdealSeconds(triggers),
		Seconds:      measure.MedianOf(rounds, func(r round) float64 { return r.seconds }),
		cost: cost{
			APIWritesPerTrigger:    measure.MedianOf(rounds, func(r round) float64 { return r.APIWritesPerTrigger }),
			DBRoundTripsPerTrigger: measure.MedianOf(rounds, func(r round) float64 { return r.DBRoundTripsPerTrigger }),
			PeakDBConnections:      measure.MedianOf(rounds, func(r round) int { return r.PeakDBConnections }),
			PeakInFlight:           measure.MedianOf(rounds, func(r round) int { return r.PeakInFlight }),
		},
	}
	r.Efficiency = r.IdealSeconds / r.Seconds
	return r
}
