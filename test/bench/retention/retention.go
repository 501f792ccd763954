// Package retention measures what it costs triggers that history is pruned meanwhile.
//
// The controller is a process of its own with its defaults. Builds of a thousand triggers run
// one after the other: some while history is pruned, and others, between these, without
// pruning. Two rounds of pruning follow each other during a build, of a hundred thousand rows
// each, so that pruning lasts about as long as the build. Efficiency is measured as in at_limit;
// what claims and batches take is what Postgres logs. In a product an hour passes between two
// rounds: here autovacuum looks every second instead of every minute. Between two builds the
// rate is raised, so that the status of all pipelines is soon written.
package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	namespace = "retention"
	// few is how many of the first and of the last builds are compared: when autovacuum
	// comes is chance.
	few = 3
)

// order tells which builds run while history is pruned. What changes with time, such as the
// number of Workflows, is nearly the same in the middle of both kinds.
var order = []bool{true, false, true, true, false, true, false, true}

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "retention",
	Sentence: "1,000,000 old rows are pruned in ten rounds while builds trigger, and other builds trigger without that",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	RowsPruned int     `json:"rows_pruned"`
	Seconds    float64 `json:"seconds"` // that pruning took, all rounds together
	// Efficiency is what the token bucket alone needs, by the median of what was measured while
	// history was pruned, and EfficiencyWithout the same of the builds without pruning.
	Efficiency        float64 `json:"efficiency"`
	EfficiencyWithout float64 `json:"efficiency_without"`
	// Ratio is efficiency by efficiency without: what pruning itself costs.
	Ratio    float64 `json:"ratio"`
	ClaimP99 float64 `json:"claim_p99_ms"`
	// LongestBatch is the statement that held its locks longest.
	LongestBatch float64 `json:"longest_batch_ms"`
	// TableBytes are all tables with their indexes after each build, and Growth the median of the
	// last three by that of the first three. What the builds leave is part of it.
	TableBytes []int64 `json:"table_bytes"`
	Growth     float64 `json:"growth"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"rows pruned", "in", "efficiency", "without", "ratio", "claim p99", "longest batch", "tables at last", "growth"},
		{
			fmt.Sprint(r.RowsPruned), fmt.Sprintf("%.1f s", r.Seconds), fmt.Sprintf("%.3f", r.Efficiency),
			fmt.Sprintf("%.3f", r.EfficiencyWithout), fmt.Sprintf("%.3f", r.Ratio), fmt.Sprintf("%.2f ms", r.ClaimP99),
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
	limited, err := fixture.StartLimited(ctx, parts, namespace, at.Size(1000, 60), "HISTORY_RETENTION=0")
	if err != nil {
		return nil, err
	}
	defer limited.Close(ctx)
	s := &subject{Limited: limited, builds: at.Size(11, 4)}
	return s.measure(ctx, at)
}

func (s *subject) measure(ctx context.Context, at *stage.Stage) (*Result, error) {
	if err := s.Set(ctx, fixture.QPSBetween, keep(keepAll)); err != nil {
		return nil, err
	}
	at.Say("waiting until the controller has written that %d pipelines are ready", len(s.Family))
	if err := s.AwaitReady(ctx, namespace); err != nil {
		return nil, err
	}
	var builds []build
	var rounds []measure.Span
	for i, prune := range order[:at.Size(len(order), few)] {
		one, err := s.build(ctx, i+1, prune)
		if err != nil {
			return nil, fmt.Errorf("build %d: %w", i+1, err)
		}
		at.Say("build %d: %s; tables of %.1f MiB", i+1, one, float64(one.bytes)/(1<<20))
		builds, rounds = append(builds, one), append(rounds, one.rounds...)
	}
	statements, err := s.statements(rounds)
	if err != nil {
		return nil, err
	}
	at.Say("the longest batch was %s, in %.1f ms", statements.longestQuery, measure.Milliseconds(statements.longestBatch))
	return summarize(builds, len(s.Family), statements), nil
}

func summarize(builds []build, triggers int, statements statements) *Result {
	r := &Result{ClaimP99: measure.Milliseconds(measure.Percentile(statements.claims, 99)), LongestBatch: measure.Milliseconds(statements.longestBatch)}
	var with, without []time.Duration
	for _, one := range builds {
		r.RowsPruned += one.pruned
		r.TableBytes = append(r.TableBytes, one.bytes)
		r.Seconds += one.pruning().Seconds()
		if one.isPruned() {
			with = append(with, one.Took)
		} else {
			without = append(without, one.Took)
		}
	}
	r.Efficiency, r.EfficiencyWithout = fixture.Efficiency(triggers, with), fixture.Efficiency(triggers, without)
	r.Ratio = r.Efficiency / r.EfficiencyWithout
	r.Growth = float64(measure.Median(r.TableBytes[len(builds)-few:])) / float64(measure.Median(r.TableBytes[:few]))
	return r
}
