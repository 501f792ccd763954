// Package notify measures what notifications cost triggers, and whether any is lost or doubled.
//
// The controller is a process of its own with its defaults, but that it may send to loopback.
// Builds of a thousand triggers run one after the other: some while ten thousand events are
// written within ten seconds that two policies tell, each one half, and others, between these,
// with the policies suspended and without such events. The receiver is a webhook in this
// process. In some of the builds with notifications it is down for the first minute, so that
// everything is tried again meanwhile; in the others it takes what comes. Each policy has a
// channel of its own, which begins 400 notifications a minute at most: what comes beyond that is
// told in a digest. One of them signs with a key of a Secret, which is read in the class of triggers.
//
// What was delivered is what the receiver was told by the newest version of each notification
// that it took.
package notify

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

const namespace = "notify"

// kind is what happens during a build.
type kind int

const (
	// without: nothing is told.
	without kind = iota
	// sent: events are told, and sent at once.
	sent
	// refused: events are told, and the receiver is down.
	refused
)

// order is the kinds of the builds. What changes with time, such as the number of Workflows, is
// nearly the same in the middle of those with and of those without notifications.
var order = []kind{refused, without, sent, refused, without, sent, without, refused}

// few is how many of these run in the small size.
const few = 2

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "notify",
	Sentence: "50,000 events are told during five builds, with a receiver that is down for a minute, and other builds trigger without that",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	// WithEfficiency is what the token bucket alone needs, by the median of what was measured
	// while events were told: with the receiver up or down, whichever is less. WithoutEfficiency is
	// the same of the other builds.
	WithEfficiency    float64 `json:"with_efficiency"`
	WithoutEfficiency float64 `json:"without_efficiency"`
	// Ratio is the first by the second: what notifications cost.
	Ratio float64 `json:"ratio"`
	// WithStart and WithoutStart are until the first create is sent, median.
	WithStart    float64 `json:"with_start_ms"`
	WithoutStart float64 `json:"without_start_ms"`
	// RSSBytesPeak is the most memory that the controller held.
	RSSBytesPeak int64 `json:"rss_bytes_peak"`
	tally
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"with", "without", "ratio", "first with", "first without", "events", "delivered", "lost", "doubled", "posts", "refused", "RSS peak"},
		{
			fmt.Sprintf("%.3f", r.WithEfficiency), fmt.Sprintf("%.3f", r.WithoutEfficiency), fmt.Sprintf("%.3f", r.Ratio),
			fmt.Sprintf("%.0f ms", r.WithStart), fmt.Sprintf("%.0f ms", r.WithoutStart),
			fmt.Sprint(r.Events), fmt.Sprint(r.Delivered), fmt.Sprint(r.Lost), fmt.Sprint(r.Doubled),
			fmt.Sprint(r.Posts), fmt.Sprint(r.Refused), fmt.Sprintf("%.1f MiB", float64(r.RSSBytesPeak)/(1<<20)),
		},
	}
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{Audit: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	limited, err := fixture.StartLimited(ctx, parts, namespace, at.Size(1000, 60), "OUTBOUND_ALLOWED_NETWORKS=127.0.0.1/32")
	if err != nil {
		return nil, err
	}
	defer limited.Close(ctx)
	limited.Calm = time.Duration(at.Size(20, 3)) * time.Second // status of channels is written every 15 s
	s := &subject{
		Limited: limited, events: at.Size(10_000, 600),
		span: time.Duration(at.Size(10, 2)) * time.Second, down: time.Duration(at.Size(60, 5)) * time.Second,
	}
	if s.receiver, err = listen(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.receiver.close()) }()
	if err := s.createPolicies(ctx, at.Size(400, 20)); err != nil {
		return nil, err
	}
	return s.measure(ctx, at)
}

func (s *subject) measure(ctx context.Context, at *stage.Stage) (*Result, error) {
	if err := s.Set(ctx, fixture.QPSBetween, nil); err != nil {
		return nil, err
	}
	at.Say("waiting until the controller has written that %d pipelines are ready", len(s.Family))
	if err := s.AwaitReady(ctx, namespace); err != nil {
		return nil, err
	}
	at.Say("a first build, whose runs the events are of")
	if err := s.first(ctx); err != nil {
		return nil, err
	}
	builds := make([]build, 0, len(order))
	for i, kind := range order[:at.Size(len(order), few)] {
		one, err := s.build(ctx, fmt.Sprintf("notify-%d", i+1), kind)
		if err != nil {
			return nil, fmt.Errorf("build %d: %w", i+1, err)
		}
		at.Say("build %d: %s", i+1, one)
		builds = append(builds, one)
	}
	return s.result(ctx, builds)
}

func (s *subject) result(ctx context.Context, builds []build) (*Result, error) {
	r := summarize(builds, len(s.Family))
	memory, err := measure.MemoryOf(s.Controller.PID())
	if err != nil {
		return nil, err
	}
	r.RSSBytesPeak = memory.Peak
	recorded, err := s.recorded(ctx)
	if err != nil {
		return nil, err
	}
	r.tally = s.receiver.tally(s.written, recorded)
	return r, nil
}

func summarize(builds []build, triggers int) *Result {
	took, start := map[kind][]time.Duration{}, map[bool][]time.Duration{}
	for _, one := range builds {
		took[one.kind] = append(took[one.kind], one.Took)
		start[one.kind == without] = append(start[one.kind == without], one.Start)
	}
	with := 1.0
	for _, kind := range []kind{sent, refused} {
		if len(took[kind]) > 0 {
			with = min(with, fixture.Efficiency(triggers, took[kind]))
		}
	}
	r := &Result{
		WithEfficiency: with, WithoutEfficiency: fixture.Efficiency(triggers, took[without]),
		WithStart: measure.Milliseconds(measure.Median(start[false])), WithoutStart: measure.Milliseconds(measure.Median(start[true])),
	}
	r.Ratio = r.WithEfficiency / r.WithoutEfficiency
	return r
}

// first has every pipeline run once.
func (s *subject) first(ctx context.Context) error {
	if err := s.Builds(ctx, namespace, given.CI, firstBuild); err != nil {
		return err
	}
	if _, err := s.Trigger(ctx, firstBuild, nil); err != nil {
		return err
	}
	return s.AwaitLastRun(ctx, namespace, given.CI, firstBuild)
}
