// Package requests counts what the controller asks of the API server over the whole life of
// its runs: from a build's success until the last status and the last event are written.
//
// The controller is a process of its own with its defaults. The count is that of the audit log,
// by user and namespace; watches and the Lease are elsewhere. What ends the Workflows writes
// the labels that Argo's controller would write, as somebody else.
package requests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	// rest is how long nothing may be asked for before the count is read.
	rest = 10 * time.Second
	// look is how often the log is read meanwhile.
	look = 2 * time.Second
)

// lasts are how long the stages take.
var lasts = []time.Duration{time.Second, 30 * time.Second}

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "requests",
	Sentence: "requests to the API server over the whole life of 1,000 runs of one stage, which lasts 1 s or 30 s",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	Runs []Run `json:"runs"`
}

// Run is the runs whose stage takes equally long.
type Run struct {
	StageSeconds   float64        `json:"stage_seconds"`
	Runs           int            `json:"runs"`
	RequestsPerRun float64        `json:"requests_per_run"`
	ByVerb         map[string]int `json:"by_verb"` // all runs together: a verb and its resource
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	table := [][]string{{"stage", "runs", "requests per run", "of which"}}
	for _, one := range r.Runs {
		var verbs string
		for _, verb := range slices.Sorted(maps.Keys(one.ByVerb)) {
			verbs += fmt.Sprintf("%s %.2f  ", verb, float64(one.ByVerb[verb])/float64(one.Runs))
		}
		table = append(table, []string{fmt.Sprintf("%.0f s", one.StageSeconds), fmt.Sprint(one.Runs), fmt.Sprintf("%.2f", one.RequestsPerRun), verbs})
	}
	return table
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{Audit: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	cluster, err := fixture.New(parts)
	if err != nil {
		return nil, err
	}
	cluster.Look = 3 * time.Second
	if err := cluster.Prepare(ctx, "requests"); err != nil {
		return nil, err
	}
	if _, err := cluster.StartController(ctx, env.ControllerOptions{}); err != nil {
		return nil, err
	}
	counted := &Result{}
	for _, long := range lasts {
		one, err := count(ctx, at, cluster, long, at.Size(1000, 50))
		if err != nil {
			return nil, err
		}
		counted.Runs = append(counted.Runs, one)
	}
	return counted, nil
}

// count has so many pipelines run once, in a namespace of their own, and counts.
func count(ctx context.Context, at *stage.Stage, cluster *fixture.Cluster, long time.Duration, runs int) (Run, error) {
	namespace := fmt.Sprintf("requests-%.0f", long.Seconds())
	build := "build-" + namespace
	if err := cluster.Namespace(ctx, namespace); err != nil {
		return Run{}, err
	}
	if _, err := cluster.Family(ctx, namespace, given.CI, runs); err != nil {
		return Run{}, err
	}
	if err := cluster.Builds(ctx, namespace, given.CI, build); err != nil {
		return Run{}, err
	}
	if err := cluster.AwaitReady(ctx, namespace); err != nil {
		return Run{}, err
	}
	if _, err := settle(ctx, cluster, namespace, time.Time{}); err != nil {
		return Run{}, err
	}
	ctx, ending, err := end(ctx, cluster, namespace, long)
	if err != nil {
		return Run{}, err
	}
	defer ending.stop()
	began := time.Now()
	if _, err := cluster.Finish(ctx, namespace, build); err != nil {
		return Run{}, err
	}
	if err := cluster.AwaitSucceeded(ctx, namespace); err != nil {
		return Run{}, errors.Join(err, context.Cause(ctx))
	}
	log, err := settle(ctx, cluster, namespace, began)
	if err != nil {
		return Run{}, err
	}
	one := Run{StageSeconds: long.Seconds(), Runs: runs, RequestsPerRun: float64(len(log)) / float64(runs), ByVerb: map[string]int{}}
	for _, event := range log {
		what := event.Resource
		if event.Subresource != "" {
			what += "/" + event.Subresource
		}
		one.ByVerb[event.Verb+" "+what]++
	}
	at.Say("%d runs of %s took %s and %.2f requests each", runs, long, time.Since(began).Round(time.Second), one.RequestsPerRun)
	return one, nil
}

// settle returns the controller's requests in the namespace since then, once there are no
// more for a while.
func settle(ctx context.Context, cluster *fixture.Cluster, namespace string, since time.Time) (audit.Log, error) {
	for last, changed := -1, time.Now(); ; {
		all, err := audit.Read(cluster.AuditLog)
		if err != nil {
			return nil, err
		}
		log := all.Penstock().In(namespace).Since(since)
		if len(log) != last {
			last, changed = len(log), time.Now()
		}
		if time.Since(changed) >= rest {
			return log, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(look):
		}
	}
}
