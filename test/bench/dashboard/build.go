package dashboard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	// patience bounds one build with all that is done before and after it.
	patience  = 10 * time.Minute
	cpuMetric = "process_cpu_seconds_total"
)

// build is the figures of one build.
type build struct {
	// open is true where pages were open meanwhile.
	open bool
	fixture.Triggering
	seen figures
	// cpuShare is the server's share of one core from the end of the build until all children
	// were triggered.
	cpuShare float64
}

// String is the progress that is reported.
func (b build) String() string {
	if !b.open {
		return b.Triggering.String() + ", without open pages"
	}
	return fmt.Sprintf("%s; pages were updated %d times, after %.0f ms (p50) and %.0f ms (p99), %d loads were refused, %d streams lost; the server took %.2f of a core",
		b.Triggering, b.seen.Updates, measure.Milliseconds(measure.Percentile(b.seen.Took, 50)), measure.Milliseconds(measure.Percentile(b.seen.Took, 99)),
		b.seen.Refused, b.seen.Lost, b.cpuShare)
}

// build has a build trigger, with all pages open or none, and waits until all status is written.
func (s *subject) build(ctx context.Context, name string, open bool) (build, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	one := build{open: open}
	if open {
		if _, err := s.pages.do(job{Do: "open"}); err != nil {
			return one, err
		}
	}
	if err := s.PrepareBuild(ctx, name, nil); err != nil {
		return one, err
	}
	err := s.trigger(ctx, name, &one)
	if open && err == nil {
		one.seen, err = s.pages.do(job{Do: "await", Build: name})
	}
	if open {
		_, closeErr := s.pages.do(job{Do: "close"})
		err = errors.Join(err, closeErr)
	}
	if err != nil {
		return one, err
	}
	return one, errors.Join(s.Set(ctx, fixture.QPSBetween, nil), s.AwaitLastRun(ctx, namespace, given.CI, name))
}

// trigger has the build trigger, and measures what the server does meanwhile.
func (s *subject) trigger(ctx context.Context, name string, one *build) error {
	if one.open {
		if _, err := s.pages.do(job{Do: "reset"}); err != nil {
			return err
		}
	}
	began := time.Now()
	before, err := measure.Metric(ctx, s.server.MetricsURL, cpuMetric)
	if err != nil {
		return err
	}
	if one.Triggering, err = s.Trigger(ctx, name, nil); err != nil {
		return err
	}
	after, err := measure.Metric(ctx, s.server.MetricsURL, cpuMetric)
	one.cpuShare = (after - before) / time.Since(began).Seconds()
	return err
}
