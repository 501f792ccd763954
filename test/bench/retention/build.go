package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

// patience bounds one build with all that is done before and after it.
const patience = 2 * time.Minute

// subject is the controller that is measured, and what it works on.
type subject struct {
	*fixture.Limited
	// builds is how many old builds each round prunes, each with a run of every pipeline.
	builds int
}

// build is the figures of one build.
type build struct {
	fixture.Triggering
	// rounds are those that pruned meanwhile; none in a build without pruning.
	rounds []measure.Span
	pruned int
	bytes  int64
}

// isPruned tells the builds with pruning from those without.
func (b build) isPruned() bool { return len(b.rounds) > 0 }

// pruning is how long its rounds took together.
func (b build) pruning() time.Duration {
	var sum time.Duration
	for _, one := range b.rounds {
		sum += one.End.Sub(one.Begin)
	}
	return sum
}

// String is the progress that is reported.
func (b build) String() string {
	if b.isPruned() {
		return fmt.Sprintf("%s, while %d rows were pruned in %.1f s", b.Triggering, b.pruned, b.pruning().Seconds())
	}
	return b.Triggering.String()
}

// build has a build trigger, with or without pruning, and waits until all status is
// written. Each begins with vacuumed tables.
func (s *subject) build(ctx context.Context, n int, prune bool) (build, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name := fmt.Sprintf("retention-%d", n)
	if err := s.prepare(ctx, name, prune); err != nil {
		return build{}, err
	}
	before, err := s.pruned(ctx)
	if err != nil {
		return build{}, err
	}
	var one build
	var meanwhile func(context.Context) error
	if prune {
		meanwhile = func(ctx context.Context) (err error) {
			one.rounds, err = s.prune(ctx)
			return err
		}
	}
	if one.Triggering, err = s.Trigger(ctx, name, meanwhile); err != nil {
		return build{}, err
	}
	after, err := s.pruned(ctx)
	if err != nil {
		return build{}, err
	}
	one.pruned = after - before
	err = errors.Join(s.Set(ctx, fixture.QPSBetween, keep(keepAll)), s.AwaitLastRun(ctx, namespace, given.CI, name))
	if err != nil {
		return build{}, err
	}
	err = s.Rows.QueryRow(ctx, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`).Scan(&one.bytes)
	return one, err
}

// prepare inserts what is pruned, and has all ready for the build. The events that were inserted are news to
// the controller, so that it writes status of every pipeline: in a product it saw them when
// they happened.
func (s *subject) prepare(ctx context.Context, name string, prune bool) error {
	if prune {
		if err := s.insert(ctx, name); err != nil {
			return err
		}
	}
	return s.PrepareBuild(ctx, name, keep(keepAll))
}

// pruned is how many rows the controller has pruned so far.
func (s *subject) pruned(ctx context.Context) (int, error) {
	sum, err := measure.MetricSum(ctx, s.Controller.MetricsURL, "penstock_pruned_rows_total")
	return int(sum), err
}
