package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/controllers/settings"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/witness"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	day = 24 * time.Hour
	// retention is the default one. What is inserted is older by ten days.
	retention = "90d"
	age       = 100 * day
	// keptBuilds are those of the last two runs of each pipeline that succeeded.
	keptBuilds = 2
	// patience bounds one round.
	patience = 2 * time.Minute
	look     = 100 * time.Millisecond
)

// subject is the controller that is measured, and what it works on.
type subject struct {
	cluster    *fixture.Cluster
	controller *env.Controller
	family     given.Family
	rows       *pgx.Conn
	// builds is how many old builds each round prunes, each with a run of every pipeline.
	builds, rounds int
}

// round is the figures of one round.
type round struct {
	began      time.Time
	pruning    time.Duration
	triggering time.Duration
	pruned     int
	bytes      int64
}

// round inserts old rows, has them pruned while a build triggers, and waits until all
// status is written.
func (s *subject) round(ctx context.Context, n int) (round, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	old := fixture.History{Name: fmt.Sprintf("old-%d", n), Namespace: namespace, Builds: s.builds, Age: age, Gone: age}
	if err := s.pass(ctx); err != nil {
		return round{}, err
	}
	cis := make([]string, len(s.family))
	for i := range cis {
		cis[i] = given.CI
	}
	if err := old.Insert(ctx, s.rows, s.family, cis); err != nil {
		return round{}, err
	}
	build := fmt.Sprintf("retention-%d", n)
	if err := s.cluster.Builds(ctx, namespace, given.CI, build); err != nil {
		return round{}, err
	}
	before, err := s.pruned(ctx)
	if err != nil {
		return round{}, err
	}
	one, err := s.trigger(ctx, build)
	if err != nil {
		return round{}, err
	}
	after, err := s.pruned(ctx)
	if err != nil {
		return round{}, err
	}
	one.pruned = after - before
	if err := errors.Join(s.setRetention(ctx, "0"), s.cluster.AwaitLastRun(ctx, namespace, given.CI, build)); err != nil {
		return round{}, err
	}
	err = s.rows.QueryRow(ctx, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`).Scan(&one.bytes)
	return one, err
}

// pass has what there is become as old as what is inserted next: a table is pruned in the
// order of its ids, up to the first page of what is young.
func (s *subject) pass(ctx context.Context) error {
	for table, column := range map[string]string{"event": "at", "cd_workflow": "created_at", "turn": "created_at", "ci_artifact": "created_at"} {
		statement := fmt.Sprintf("UPDATE %s SET %s = now() - $1::interval WHERE %[2]s > now() - $1::interval", table, column)
		if _, err := s.rows.Exec(ctx, statement, age); err != nil {
			return fmt.Errorf("let time pass: %w", err)
		}
	}
	return nil
}

// trigger sets the retention and finishes a build at once, and waits until both are through.
func (s *subject) trigger(ctx context.Context, build string) (round, error) {
	seen, err := witness.Watch(ctx, s.cluster.Client, namespace)
	if err != nil {
		return round{}, err
	}
	defer seen.Stop()
	one := round{began: time.Now()}
	if err := s.setRetention(ctx, retention); err != nil {
		return round{}, err
	}
	finished, err := s.cluster.Finish(ctx, namespace, build)
	if err != nil {
		return round{}, err
	}
	pruned := make(chan error, 1)
	go func() {
		pruned <- s.awaitPruned(ctx)
		one.pruning = time.Since(one.began)
		close(pruned)
	}()
	_, err = seen.Await(ctx, build, len(s.family))
	err = errors.Join(err, <-pruned)
	<-pruned // closed: the time is taken
	if err != nil {
		return round{}, err
	}
	events, err := env.ReadAudit(s.cluster.AuditLog)
	if err != nil {
		return round{}, err
	}
	spans, last := fixture.Creates(events, one.began)
	if len(spans) != len(s.family) {
		return round{}, fmt.Errorf("the audit log has %d creates of %d triggers", len(spans), len(s.family))
	}
	one.triggering = last.Sub(finished)
	return one, nil
}

// awaitPruned returns when no old build is left but those that stay. Builds are pruned last.
func (s *subject) awaitPruned(ctx context.Context) error {
	left := 0
	err := wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		err := s.rows.QueryRow(ctx, "SELECT count(*) FROM ci_build WHERE deleted_at < now() - $1::interval", 95*day).Scan(&left)
		return left <= keptBuilds, err
	})
	if err != nil {
		return fmt.Errorf("%d old builds are left: %w", left, err)
	}
	return nil
}

// pruned is how many rows the controller has pruned so far.
func (s *subject) pruned(ctx context.Context) (int, error) {
	sum, err := measure.MetricSum(ctx, s.controller.MetricsURL, "penstock_pruned_rows_total")
	return int(sum), err
}

// setRetention changes the setting while the controller runs, as an operator does.
func (s *subject) setRetention(ctx context.Context, value string) error {
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: settings.ConfigMap}, Data: map[string]string{"HISTORY_RETENTION": value},
	}
	err := s.cluster.Client.Update(ctx, configMap)
	if apierrors.IsNotFound(err) {
		err = s.cluster.Client.Create(ctx, configMap)
	}
	if err != nil {
		return fmt.Errorf("set HISTORY_RETENTION: %w", err)
	}
	return nil
}
