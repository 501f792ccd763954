// Package dashboard measures what a thousand open pages cost triggers, and `penstock server`.
//
// The controller and the server are processes of their own with their defaults, but that the
// controller is at its limit of requests. Builds trigger a run in each of a thousand applications.
// During some of them the page of each application is open, during the others none is. Each page
// is in a process of clients, has a connection of its own, and does what the script of the
// dashboard does in a browser: it follows the page's stream, and fetches the page again when
// something has changed, at most once a second. The clients give way to all that is measured.
package dashboard

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

const namespace = "dashboard"

// order is which of the builds have open pages. What changes with time, such as the number of
// Workflows, is the same in the middle of those with pages and of those without.
var order = []bool{true, false, false, true, true, false, false, true}

// few is how many of these run in the small size.
const few = 2

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "dashboard",
	Sentence: "1,000 pages of the dashboard are open while 50 runs a second are triggered, and other builds trigger without open pages",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	// Pages are those that are open during the builds with pages.
	Pages int `json:"pages"`
	// WithEfficiency is what the token bucket alone needs, by the median of what was measured
	// while pages were open, and WithoutEfficiency the same of the other builds.
	WithEfficiency    float64 `json:"with_efficiency"`
	WithoutEfficiency float64 `json:"without_efficiency"`
	// Ratio is the first by the second: what open pages cost.
	Ratio float64 `json:"ratio"`
	// Updates counts how often a page was fetched again because something had changed.
	Updates int `json:"updates"`
	// UpdateP99 is from the time of an event until a page has been fetched after it.
	UpdateP99 float64 `json:"update_p99_ms"`
	// LostStreams are those that ended while their page was open.
	LostStreams int `json:"lost_streams"`
	// RSSBytesPeak is the most memory that the server held.
	RSSBytesPeak int64 `json:"rss_bytes_peak"`
	// CPUShare is the server's share of one core while runs were triggered and pages were open, median.
	CPUShare float64 `json:"cpu_share"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"pages", "with", "without", "ratio", "updates", "update p99", "lost streams", "RSS peak", "CPU"},
		{
			fmt.Sprint(r.Pages), fmt.Sprintf("%.3f", r.WithEfficiency), fmt.Sprintf("%.3f", r.WithoutEfficiency), fmt.Sprintf("%.3f", r.Ratio),
			fmt.Sprint(r.Updates), fmt.Sprintf("%.0f ms", r.UpdateP99), fmt.Sprint(r.LostStreams),
			fmt.Sprintf("%.1f MiB", float64(r.RSSBytesPeak)/(1<<20)), fmt.Sprintf("%.2f cores", r.CPUShare),
		},
	}
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{Audit: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	s, err := prepare(ctx, at, parts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	builds := make([]build, 0, len(order))
	for i, open := range order[:at.Size(len(order), few)] {
		one, err := s.build(ctx, fmt.Sprintf("dashboard-%d", i+1), open)
		if err != nil {
			return nil, fmt.Errorf("build %d: %w", i+1, err)
		}
		at.Say("build %d: %s", i+1, one)
		builds = append(builds, one)
	}
	r := summarize(builds, len(s.Family))
	memory, err := measure.MemoryOf(s.server.PID())
	r.RSSBytesPeak = memory.Peak
	return r, err
}

func summarize(builds []build, triggers int) *Result {
	r := &Result{Pages: triggers}
	var with, without, updates []time.Duration
	var shares []float64
	for _, one := range builds {
		if !one.open {
			without = append(without, one.Took)
			continue
		}
		with, updates, shares = append(with, one.Took), append(updates, one.seen.Took...), append(shares, one.cpuShare)
		r.Updates += one.seen.Updates
		r.LostStreams += one.seen.Lost
	}
	r.WithEfficiency, r.WithoutEfficiency = fixture.Efficiency(triggers, with), fixture.Efficiency(triggers, without)
	r.Ratio = r.WithEfficiency / r.WithoutEfficiency
	r.UpdateP99, r.CPUShare = measure.Milliseconds(measure.Percentile(updates, 99)), measure.Median(shares)
	return r
}
