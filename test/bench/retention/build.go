package retention

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/witness"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	// patience bounds one build with all that is done before and after it.
	patience = 2 * time.Minute
	// calm is how long the controller must have written no status to have written all.
	calm = 3 * time.Second
)

// subject is the controller that is measured, and what it works on.
type subject struct {
	cluster    *fixture.Cluster
	controller *env.Controller
	family     given.Family
	rows       *pgx.Conn
	// builds is how many old builds each round prunes, each with a run of every pipeline.
	builds int
}

// build is the figures of one build.
type build struct {
	// rounds are those that pruned meanwhile; none in a build without pruning.
	rounds []measure.Span
	// start is until the first create had begun, and triggering until the last was answered.
	start, triggering time.Duration
	// others are the requests of other kinds that the controller sent meanwhile: each takes a token.
	others map[string]int
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
	text := fmt.Sprintf("triggered in %.2f s, the first after %.3f s, with other requests %v", b.triggering.Seconds(), b.start.Seconds(), b.others)
	if b.isPruned() {
		return fmt.Sprintf("%s, while %d rows were pruned in %.1f s", text, b.pruned, b.pruning().Seconds())
	}
	return text
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
	one, err := s.trigger(ctx, name, prune)
	if err != nil {
		return build{}, err
	}
	after, err := s.pruned(ctx)
	if err != nil {
		return build{}, err
	}
	one.pruned = after - before
	err = errors.Join(s.set(ctx, keepAll, qpsBetween), s.cluster.AwaitLastRun(ctx, namespace, given.CI, name))
	if err != nil {
		return build{}, err
	}
	err = s.rows.QueryRow(ctx, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`).Scan(&one.bytes)
	return one, err
}

// prepare inserts what is pruned, waits until its status is written, lowers the rate to that
// which is measured, vacuums, and creates the build.
func (s *subject) prepare(ctx context.Context, name string, prune bool) error {
	if prune {
		if err := s.insert(ctx, name); err != nil {
			return err
		}
	}
	if err := errors.Join(s.settle(ctx), s.set(ctx, keepAll, qps)); err != nil {
		return err
	}
	if _, err := s.rows.Exec(ctx, "VACUUM (ANALYZE)"); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return s.cluster.Builds(ctx, namespace, given.CI, name)
}

// settle waits until the controller writes no status any more. The events that were inserted
// are news to it, so that it writes status of every pipeline: in a product it saw them when
// they happened. What would be left of that takes tokens from the build that is measured.
func (s *subject) settle(ctx context.Context) error {
	began := time.Now()
	err := wait.PollUntilContextTimeout(ctx, calm/4, patience, false, func(context.Context) (bool, error) {
		events, err := env.ReadAudit(s.cluster.AuditLog)
		if err != nil {
			return false, err
		}
		return time.Since(lastStatus(events, began)) >= calm, nil
	})
	if err != nil {
		return fmt.Errorf("the controller still writes status: %w", err)
	}
	return nil
}

// lastStatus is when the controller last wrote status, and not before began.
func lastStatus(events []env.AuditEvent, began time.Time) time.Time {
	last := began
	for _, event := range events {
		if event.User == string(env.Penstock) && event.Subresource == "status" && event.Finished.After(last) {
			last = event.Finished
		}
	}
	return last
}

// trigger finishes a build and has rounds prune from that moment on, and waits until all are through.
func (s *subject) trigger(ctx context.Context, name string, prune bool) (build, error) {
	seen, err := witness.Watch(ctx, s.cluster.Client, namespace)
	if err != nil {
		return build{}, err
	}
	defer seen.Stop()
	var one build
	pruned := make(chan error, 1)
	began := time.Now()
	go func() {
		var err error
		if prune {
			one.rounds, err = s.prune(ctx)
		}
		pruned <- err
	}()
	finished, err := s.cluster.Finish(ctx, namespace, name)
	if err == nil {
		_, err = seen.Await(ctx, name, len(s.family))
	}
	if err := errors.Join(err, <-pruned); err != nil {
		return build{}, err
	}
	events, err := env.ReadAudit(s.cluster.AuditLog)
	if err != nil {
		return build{}, err
	}
	err = one.time(events, began, finished, len(s.family))
	return one, err
}

// time reads from the audit log when the creates were sent and answered.
func (b *build) time(events []env.AuditEvent, began, finished time.Time, triggers int) error {
	spans, last := fixture.Creates(events, began)
	if len(spans) != triggers {
		return fmt.Errorf("the audit log has %d creates of %d triggers", len(spans), triggers)
	}
	first := last
	for _, span := range spans {
		if span.Begin.Before(first) {
			first = span.Begin
		}
	}
	b.start, b.triggering = first.Sub(finished), last.Sub(finished)
	b.others = map[string]int{}
	for _, event := range events {
		isCreate := event.Resource == "workflows" && event.Verb == "create"
		if event.User == string(env.Penstock) && !isCreate && event.Verb != "watch" && !event.Received.Before(finished) && !event.Received.After(last) {
			b.others[strings.TrimSuffix(event.Verb+" "+event.Resource+"/"+event.Subresource, "/")]++
		}
	}
	return nil
}

// pruned is how many rows the controller has pruned so far.
func (s *subject) pruned(ctx context.Context) (int, error) {
	sum, err := measure.MetricSum(ctx, s.controller.MetricsURL, "penstock_pruned_rows_total")
	return int(sum), err
}
