// Package queue measures what a claim costs however many rows wait.
//
// Each claim takes as many rows as dispatch does by default, and is timed alone.
// What is claimed is then completed and ends, so that dead tuples are part of what
// the next claim reads.
package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	// batch is what dispatch claims at once with five triggers in flight.
	batch = 20
	// claims is how many claims one round times.
	claims = 500
	worker = "bench"
	lease  = time.Minute
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "queue",
	Sentence: "claims from a queue of 50,000 and of 1,000,000 rows",
	Run:      run,
}

// Row is what was measured with n rows Pending.
type Row struct {
	N        int     `json:"n"`
	ClaimP50 float64 `json:"claim_p50_ms"`
	ClaimP99 float64 `json:"claim_p99_ms"`
	// ClaimsPerSecond is how many rows one worker claims while it does nothing else.
	ClaimsPerSecond float64 `json:"claims_per_second"`
}

// Result is the JSON.
type Result struct {
	Rows []Row `json:"rows"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	rows := [][]string{{"Pending rows", fmt.Sprintf("claim of %d, p50", batch), "p99", "rows claimed"}}
	for _, row := range r.Rows {
		rows = append(rows, []string{
			fmt.Sprint(row.N), fmt.Sprintf("%.2f ms", row.ClaimP50), fmt.Sprintf("%.2f ms", row.ClaimP99),
			fmt.Sprintf("%.0f/s", row.ClaimsPerSecond),
		})
	}
	return rows
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	server, err := env.StartPostgres(ctx, env.PostgresOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	measured := &Result{}
	for _, n := range []int{at.Size(50_000, 10_000), at.Size(1_000_000, 50_000)} {
		row, err := measureSize(ctx, at, server, n)
		if err != nil {
			return nil, err
		}
		measured.Rows = append(measured.Rows, row)
	}
	return measured, nil
}

func measureSize(ctx context.Context, at *stage.Stage, server *env.Postgres, n int) (Row, error) {
	url, err := server.NewDatabase(ctx, "queue")
	if err != nil {
		return Row{}, err
	}
	config := store.Config{URL: url, Schema: fixture.Schema, MaxConns: 2}
	if err := store.Migrate(ctx, config); err != nil {
		return Row{}, err
	}
	rows, err := store.Open(ctx, config)
	if err != nil {
		return Row{}, err
	}
	defer rows.Close()
	var rounds []Row
	for round := range at.Rounds {
		if err := fill(ctx, rows, n); err != nil {
			return Row{}, err
		}
		at.Say("round %d: %d rows are Pending", round+1, n)
		one, err := measureRound(ctx, rows)
		if err != nil {
			return Row{}, err
		}
		rounds = append(rounds, one)
	}
	return Row{
		N:               n,
		ClaimP50:        measure.MedianOf(rounds, func(r Row) float64 { return r.ClaimP50 }),
		ClaimP99:        measure.MedianOf(rounds, func(r Row) float64 { return r.ClaimP99 }),
		ClaimsPerSecond: measure.MedianOf(rounds, func(r Row) float64 { return r.ClaimsPerSecond }),
	}, server.DropDatabase(ctx, url)
}

func measureRound(ctx context.Context, rows *store.Store) (Row, error) {
	var times []time.Duration
	var all time.Duration
	for range claims {
		began := time.Now()
		claimed, err := rows.Claim(ctx, store.Lane{Kind: store.KindCd}, worker, batch, lease)
		took := time.Since(began)
		if err != nil {
			return Row{}, err
		}
		if len(claimed) != batch {
			return Row{}, fmt.Errorf("a claim took %d rows instead of %d", len(claimed), batch)
		}
		times, all = append(times, took), all+took
		if err := end(ctx, rows, claimed); err != nil {
			return Row{}, err
		}
	}
	return Row{
		ClaimP50:        measure.Milliseconds(measure.Percentile(times, 50)),
		ClaimP99:        measure.Milliseconds(measure.Percentile(times, 99)),
		ClaimsPerSecond: claims * batch / all.Seconds(),
	}, nil
}
