// Package evolution measures the production story again: four ways to trigger the
// children of a build, from a goroutine for each to Penstock's pool.
//
// Every trigger inserts its two rows, creates its Workflow and records that. Postgres
// allows 100 connections, of which 50 are taken; the API server answers 429 when more
// than ten writes are under way. Each approach runs in a process of its own, so that
// its memory and its goroutines are its own, one after the other on the same servers.
//
// A trigger has succeeded when its row says Submitted and its Workflow exists. The
// naive approach does not wait for what it starts: it is given the time until its last
// goroutine has ended.
package evolution

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	namespace      = "evolution"
	maxConnections = 100
	// taken is how many connections others have.
	taken = 50
	// atOnce is the barrier's and the pool's limit.
	atOnce = 5
	// severe is from how many tasks on each approach runs once: those that lose work take
	// minutes then, and differ from the others by more than rounds do from each other.
	severe = 10_000
	// pipelines is how many children there are at most; with more triggers, a build
	// has several artifacts.
	pipelines = 1000
)

// apiServerFlags have the API server answer 429 as it did before it queued requests.
var apiServerFlags = []string{
	"--enable-priority-and-fairness=false", "--max-mutating-requests-inflight=10", "--max-requests-inflight=20",
}

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "evolution",
	Sentence: "the production story: naive goroutines, WaitGroup, batch barrier of 5, Penstock's pool",
	Run:      run,
}

// Approach is what was measured of one way to trigger so many children.
type Approach struct {
	Name              string  `json:"name"`
	Tasks             int     `json:"tasks"`
	Succeeded         int     `json:"succeeded"`
	SuccessRate       float64 `json:"success_rate"`
	PeakGoroutines    int     `json:"peak_goroutines"`
	PeakDBConnections int     `json:"peak_db_connections"`
	API429            int     `json:"api_429"`    // answers of 429
	DBRefused         int     `json:"db_refused"` // connections that Postgres refused
	PeakRSSBytes      int64   `json:"peak_rss_bytes"`
	Seconds           float64 `json:"seconds"` // until the last task was through, well or badly

	lost map[string]int // why, for those who watch
}

// Result is the JSON.
type Result struct {
	Approaches []Approach `json:"approaches"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	rows := [][]string{{"tasks", "approach", "succeeded", "goroutines", "connections", "429", "refused", "RSS", "time"}}
	for _, a := range r.Approaches {
		rows = append(rows, []string{
			fmt.Sprint(a.Tasks), a.Name, fmt.Sprintf("%.1f %%", 100*a.SuccessRate), fmt.Sprint(a.PeakGoroutines),
			fmt.Sprint(a.PeakDBConnections), fmt.Sprint(a.API429), fmt.Sprint(a.DBRefused),
			fmt.Sprintf("%.0f MiB", float64(a.PeakRSSBytes)/(1<<20)), fmt.Sprintf("%.2f s", a.Seconds),
		})
	}
	return rows
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{MaxConnections: maxConnections, APIServerFlags: apiServerFlags})
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
	family, err := cluster.Family(ctx, namespace, given.CI, pipelines)
	if err != nil {
		return nil, err
	}
	trials, err := newTrials(ctx, cluster, family)
	if err != nil {
		return nil, err
	}
	defer trials.close()
	measured := &Result{}
	for _, tasks := range []int{at.Size(100, 50), at.Size(1000, 200), at.Size(10_000, 1000)} {
		approaches, err := compare(ctx, at, trials, tasks)
		if err != nil {
			return nil, err
		}
		measured.Approaches = append(measured.Approaches, approaches...)
	}
	return measured, nil
}

// compare lets the approaches take turns, and returns their medians.
func compare(ctx context.Context, at *stage.Stage, trials *trials, tasks int) ([]Approach, error) {
	rounds := map[string][]Approach{}
	for round := range roundsOf(tasks, at.Rounds) {
		for _, name := range names {
			one, err := trials.run(ctx, name, tasks)
			if err != nil {
				return nil, fmt.Errorf("%s with %d tasks: %w", name, tasks, err)
			}
			at.Say("round %d, %d tasks, %s: %d succeeded, in %.2f s%s", round+1, tasks, name, one.Succeeded, one.Seconds, describe(one.lost))
			rounds[name] = append(rounds[name], one)
		}
	}
	medians := make([]Approach, len(names))
	for i, name := range names {
		medians[i] = median(rounds[name])
	}
	return medians, nil
}

func roundsOf(tasks, wanted int) int {
	if tasks >= severe {
		return 1
	}
	return wanted
}

// median takes every figure's own.
func median(rounds []Approach) Approach {
	a := Approach{
		Name: rounds[0].Name, Tasks: rounds[0].Tasks,
		Succeeded:         measure.MedianOf(rounds, func(a Approach) int { return a.Succeeded }),
		PeakGoroutines:    measure.MedianOf(rounds, func(a Approach) int { return a.PeakGoroutines }),
		PeakDBConnections: measure.MedianOf(rounds, func(a Approach) int { return a.PeakDBConnections }),
		API429:            measure.MedianOf(rounds, func(a Approach) int { return a.API429 }),
		DBRefused:         measure.MedianOf(rounds, func(a Approach) int { return a.DBRefused }),
		PeakRSSBytes:      measure.MedianOf(rounds, func(a Approach) int64 { return a.PeakRSSBytes }),
		Seconds:           measure.MedianOf(rounds, func(a Approach) float64 { return a.Seconds }),
	}
	a.SuccessRate = float64(a.Succeeded) / float64(a.Tasks)
	return a
}
