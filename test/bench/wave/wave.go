// Package wave measures how long a wave of rebuilds takes, and that it delays nobody else.
//
// Hundreds of CiPipelines are built on one image of a registry in this process, which changes:
// every build takes a second, and every twentieth ten seconds. The controller is a process of its
// own with its defaults, but that it may reach loopback, and Argo's controller runs. Meanwhile
// people ask for builds of another pipeline, and other builds succeed that are deployed.
//
// A batch barrier would begin as many builds as the wave's limit, and the next when all of these
// have ended. How long it would take is calculated from what the very builds of the wave took, in
// the order in which they were begun: running it as well would take five times as long, and a
// machine that is slower meanwhile would be part of the comparison.
package wave

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	namespace, image = "wave", "base/java:17"
	// usual is how long a build takes, and long every one of stragglers.
	usual, long, stragglers = time.Second, 10 * time.Second, 20
)

// limits are the values of rebuild.maxParallel.
var limits = []int{5, 20}

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "wave",
	Sentence: "a base image changes that 500 pipelines are built on: how long until all are built, and how long do others wait meanwhile",
	Run:      run,
}

// Limit is what was measured with up to N builds of the wave at once.
type Limit struct {
	N          int `json:"n"`
	Dependents int `json:"dependents"`
	// Seconds is how long the wave took, and BarrierSeconds what a batch barrier would take with
	// the same builds.
	Seconds        float64 `json:"seconds"`
	BarrierSeconds float64 `json:"barrier_seconds"`
	// Speedup is the second by the first.
	Speedup float64 `json:"speedup"`
	// PersonBuildSeconds is from the creation of a CiBuild of a person until its Workflow was
	// seen, and DeploymentSeconds from the success of another build until that of its deployment
	// was: the longest of those during the wave.
	PersonBuildSeconds float64 `json:"person_build_seconds"`
	DeploymentSeconds  float64 `json:"deployment_seconds"`
	// Probes is how many of each were measured, and Doubled how many pipelines were built twice.
	Probes  int `json:"probes"`
	Doubled int `json:"doubled"`
}

// Result is the JSON.
type Result struct {
	Limits []Limit `json:"limits"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	rows := [][]string{{"limit", "dependents", "wave", "barrier", "speedup", "a person's build", "a deployment", "doubled"}}
	for _, limit := range r.Limits {
		rows = append(rows, []string{
			fmt.Sprint(limit.N), fmt.Sprint(limit.Dependents), fmt.Sprintf("%.1f s", limit.Seconds), fmt.Sprintf("%.1f s", limit.BarrierSeconds),
			fmt.Sprintf("%.2f", limit.Speedup), fmt.Sprintf("%.2f s", limit.PersonBuildSeconds), fmt.Sprintf("%.2f s", limit.DeploymentSeconds),
			fmt.Sprint(limit.Doubled),
		})
	}
	return rows
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{Argo: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	s, err := prepare(ctx, parts, at.Size(500, 60))
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	all := &Result{}
	for i, n := range limits {
		at.Say("a wave over %d pipelines, up to %d builds at once", s.dependents, n)
		limit, err := s.measure(ctx, int64(i+1), n)
		if err != nil {
			return nil, fmt.Errorf("limit %d: %w", n, err)
		}
		where, err := s.where(ctx, int64(i+1))
		if err != nil {
			return nil, err
		}
		at.Say("%s", where)
		at.Say("the wave took %.1f s; a person's build waited %.2f s, and a deployment %.2f s", limit.Seconds, limit.PersonBuildSeconds, limit.DeploymentSeconds)
		all.Limits = append(all.Limits, limit)
	}
	return all, nil
}
