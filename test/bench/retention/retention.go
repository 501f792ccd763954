// Package retention measures what it costs triggers that history is pruned meanwhile.
//
// The controller is a process of its own with its defaults. Ten times, a hundred thousand
// rows of old builds are inserted; then HISTORY_RETENTION is set, and at the same moment a
// build finishes. Efficiency is measured as in at_limit, over all ten builds; what claims
// and batches take is what Postgres logs. In a product an hour passes between two rounds:
// here autovacuum looks every second instead of every minute.
package retention

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
	namespace  = "retention"
	qps, burst = 50, 10
	// few is how many of the first and of the last rounds are compared: when autovacuum
	// comes is chance.
	few = 3
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "retention",
	Sentence: "1,000,000 old rows are pruned in ten rounds, each while a build triggers",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	RowsPruned int     `json:"rows_pruned"`
	Seconds    float64 `json:"seconds"`    // that pruning took, all rounds together
	Efficiency float64 `json:"efficiency"` // what the token bucket alone needs, by what was measured
	ClaimP99   float64 `json:"claim_p99_ms"`
	// LongestBatch is the statement that held its locks longest.
	LongestBatch float64 `json:"longest_batch_ms"`
	// TableBytes are all tables with their indexes after each round, and Growth the median of the
	// last three by that of the first three. What the ten builds leave is part of it.
	TableBytes []int64 `json:"table_bytes"`
	Growth     float64 `json:"growth"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"rows pruned", "in", "efficiency", "claim p99", "longest batch", "tables at last", "growth"},
		{
			fmt.Sprint(r.RowsPruned), fmt.Sprintf("%.1f s", r.Seconds), fmt.Sprintf("%.3f", r.Efficiency), fmt.Sprintf("%.2f ms", r.ClaimP99),
			fmt.Sprintf("%.1f ms", r.LongestBatch), fmt.Sprintf("%.1f MiB", float64(r.TableBytes[len(r.TableBytes)-1])/(1<<20)), fmt.Sprintf("%.2f", r.Growth),
		},
	}
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{
		Audit:            true,
		PostgresSettings: append([]string{"autovacuum_naptime=1s", "shared_buffers=256MB", "max_wal_size=4GB"}, logSettings...),
	})
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
	s := &subject{cluster: cluster, builds: at.Size(26, 4), rounds: at.Size(10, 4)}
	if s.family, err = cluster.Family(ctx, namespace, given.CI, at.Size(400, 60)); err != nil {
		return nil, err
	}
	if s.rows, err = cluster.Connect(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = s.rows.Close(context.WithoutCancel(ctx)) }()
	s.controller, err = cluster.StartController(ctx, env.ControllerOptions{
		Env: []string{fmt.Sprintf("KUBE_API_QPS=%d", qps), fmt.Sprintf("KUBE_API_BURST=%d", burst), "HISTORY_RETENTION=0"},
	})
	if err != nil {
		return nil, err
	}
	return s.measure(ctx, at)
}

func (s *subject) measure(ctx context.Context, at *stage.Stage) (*Result, error) {
	at.Say("waiting until the controller has written that %d pipelines are ready", len(s.family))
	if err := s.cluster.AwaitReady(ctx, namespace); err != nil {
		return nil, err
	}
	var rounds []round
	for i := range s.rounds {
		one, err := s.round(ctx, i+1)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		at.Say("round %d: %d rows pruned in %.1f s, %d triggers in %.2f s, tables of %.1f MiB",
			i+1, one.pruned, one.pruning.Seconds(), len(s.family), one.triggering.Seconds(), float64(one.bytes)/(1<<20))
		rounds = append(rounds, one)
	}
	statements, err := s.statements(rounds)
	if err != nil {
		return nil, err
	}
	return summarize(rounds, len(s.family), statements), nil
}

func summarize(rounds []round, triggers int, statements statements) *Result {
	r := &Result{ClaimP99: measure.Milliseconds(measure.Percentile(statements.claims, 99)), LongestBatch: measure.Milliseconds(statements.longestBatch)}
	var pruning, triggering time.Duration
	for _, one := range rounds {
		r.RowsPruned += one.pruned
		pruning, triggering = pruning+one.pruning, triggering+one.triggering
		r.TableBytes = append(r.TableBytes, one.bytes)
	}
	r.Seconds = pruning.Seconds()
	r.Efficiency = float64(len(rounds)*(triggers-burst)) / qps / triggering.Seconds()
	r.Growth = float64(measure.Median(r.TableBytes[len(rounds)-few:])) / float64(measure.Median(r.TableBytes[:few]))
	return r
}
