// Package scale measures the memory of a controller that watches ten thousand
// pipelines, half of them below another, and twenty thousand finished Workflows, with
// two million rows of history, and what a large build adds.
//
// The controller is a process of its own with its defaults. Its memory is what Linux
// says is resident. It is idle when it uses next to no time and the garbage collector
// has run since. What a finished Workflow costs is the difference of the live heap
// between two idle processes, with and without these Workflows.
package scale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
)

const namespace = "scale"

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "scale",
	Sentence: "memory with 10,000 pipelines, 1,000 builds, 20,000 finished Workflows and 2,000,000 rows of history, then 2,000 triggers",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	RSSBytesIdle int64 `json:"rss_bytes_idle"` // before the burst
	RSSBytesPeak int64 `json:"rss_bytes_peak"` // start and burst included
	// Goroutines is the most that were seen during the burst.
	Goroutines       int     `json:"goroutines"`
	BytesPerWorkflow float64 `json:"bytes_per_workflow"`
	// StartSeconds is from the launch until a build that finished before is triggered.
	StartSeconds float64 `json:"start_seconds"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"RSS idle", "RSS peak", "goroutines", "each Workflow", "start"},
		{
			mebibytes(r.RSSBytesIdle), mebibytes(r.RSSBytesPeak), fmt.Sprint(r.Goroutines),
			fmt.Sprintf("%.0f B", r.BytesPerWorkflow), fmt.Sprintf("%.1f s", r.StartSeconds),
		},
	}
}

func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

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
	cluster.Look = 3 * time.Second
	past := past{
		at: at, cluster: cluster, groups: at.Size(400, 20), builds: at.Size(900, 45), burst: at.Size(2000, 200), idle: at.Size(99, 4),
		runs: at.Size(25, 2),
	}
	if err := past.make(ctx); err != nil {
		return nil, err
	}
	with := &Result{}
	live, err := measureWith(ctx, at, cluster, &past, with)
	if err != nil {
		return nil, err
	}
	if err := cluster.DeleteWorkflows(ctx, namespace, client.MatchingLabels{"workflows.argoproj.io/completed": "true"}); err != nil {
		return nil, err
	}
	liveWithout, err := measureWithout(ctx, at, cluster)
	if err != nil {
		return nil, err
	}
	// The first had those of the past and the probe's, the second the probe's and those
	// of the burst.
	with.BytesPerWorkflow = (live - liveWithout) / float64(past.workflows()-past.burst)
	return with, nil
}

// measureWith launches the controller on all that there is, and returns its live heap
// before the burst.
func measureWith(ctx context.Context, at *stage.Stage, cluster *fixture.Cluster, past *past, into *Result) (float64, error) {
	subject, took, err := launch(ctx, cluster)
	if err != nil {
		return 0, err
	}
	into.StartSeconds = took.Seconds()
	at.Say("the controller triggers after %.1f s; waiting until it is idle", into.StartSeconds)
	live, err := subject.idle(ctx)
	if err != nil {
		return 0, err
	}
	idle, err := subject.memory()
	if err != nil {
		return 0, err
	}
	into.RSSBytesIdle = idle.Resident
	at.Say("idle with %s, live heap %s, peak so far %s", mebibytes(idle.Resident), mebibytes(int64(live)), mebibytes(idle.Peak))
	if into.Goroutines, err = subject.burst(ctx, past.burst); err != nil {
		return 0, err
	}
	peak, err := subject.memory()
	if err != nil {
		return 0, err
	}
	into.RSSBytesPeak = peak.Peak
	at.Say("%d triggers are through, and all status is written: peak %s", past.burst, mebibytes(peak.Peak))
	return live, subject.Stop()
}

func measureWithout(ctx context.Context, at *stage.Stage, cluster *fixture.Cluster) (float64, error) {
	at.Say("the same without the finished Workflows")
	controller, err := cluster.StartController(ctx, env.ControllerOptions{})
	if err != nil {
		return 0, err
	}
	live, err := (&subject{Controller: controller, cluster: cluster}).idle(ctx)
	if err != nil {
		return 0, err
	}
	at.Say("live heap %s", mebibytes(int64(live)))
	return live, controller.Stop()
}
