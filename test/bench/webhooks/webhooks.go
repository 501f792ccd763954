// Package webhooks measures how fast `penstock server` accepts webhooks, and whether any is lost or
// doubled although Postgres is restarted meanwhile.
//
// Thousands of pushes are sent from 50 connections, each of which sends its next one when it is
// answered: as much as the machine takes. They are signed as GitHub signs, and every fifth is one
// that was sent before, by the same connection or another. In the middle Postgres is stopped as by
// a crash, and started again; what is refused meanwhile is sent again. The server and the
// controller are processes of their own with their defaults, but for a Receiver that takes as much
// as is sent. Every fourth push is to a branch that is built.
//
// What is lost or doubled is told by what the senders were answered, by the rows, and by the
// builds, when everything is worked off.
package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	namespace, receiver, token = "webhooks", "github", "a token of the benchmark"
	// connections are how many send at once; repositories are those that are pushed to.
	connections, repositories = 50, 100
	// every fifth delivery repeats an earlier one, and every fourth is built.
	repeated, built = 5, 4
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "webhooks",
	Sentence: "10,000 signed webhooks come from 50 connections, a fifth of them twice, and Postgres is restarted in the middle",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	// AcceptedPerSecond counts those that were answered with 202, while Postgres was up.
	AcceptedPerSecond float64 `json:"accepted_per_second"`
	// P50 and P99 are of the requests while Postgres was up, whatever their answer, from the
	// first byte that is sent to the last that is read.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// Lost are deliveries that were accepted and are not kept, or not worked off.
	Lost int `json:"lost"`
	// Doubled are deliveries that were kept or built more than once, or accepted under two
	// numbers.
	Doubled int `json:"doubled"`
	// RSSBytesPeak is the most memory that the server held.
	RSSBytesPeak int64 `json:"rss_bytes_peak"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"accepted/s", "p50", "p99", "lost", "doubled", "RSS peak"},
		{
			fmt.Sprintf("%.0f", r.AcceptedPerSecond), fmt.Sprintf("%.1f ms", r.P50), fmt.Sprintf("%.1f ms", r.P99),
			fmt.Sprint(r.Lost), fmt.Sprint(r.Doubled), fmt.Sprintf("%.1f MiB", float64(r.RSSBytesPeak)/(1<<20)),
		},
	}
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	s, err := prepare(ctx, parts)
	if err != nil {
		return nil, err
	}
	defer s.close()
	sends := deliveries(at.Size(10_000, 1_000))
	at.Say("sending %d webhooks from %d connections", len(sends), connections)
	came, err := s.send(ctx, sends)
	if err != nil {
		return nil, err
	}
	at.Say("%d were accepted, after %d refusals; Postgres was away for %.1f s", came.accepted, came.refused, came.down.length().Seconds())
	memory, err := measure.MemoryOf(s.server.PID())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	kept, err := s.awaitWorkedOff(ctx)
	if err != nil {
		return nil, err
	}
	at.Say("all were worked off %.1f s later: %d deliveries, %d builds", time.Since(began).Seconds(), len(kept.rows), kept.builds)
	r := came.result()
	r.Lost, r.Doubled = kept.lost(came.numbers), kept.doubled(came.numbers)
	r.RSSBytesPeak = memory.Peak
	return r, nil
}
