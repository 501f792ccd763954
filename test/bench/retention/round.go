package retention

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	day = 24 * time.Hour
	// keepAll is the retention that prunes nothing.
	keepAll = "0"
	// keptBuilds are those of the last two runs of each pipeline that succeeded.
	keptBuilds = 2
	look       = 100 * time.Millisecond
)

// sweeps are the rounds of pruning during one build: each is caused by a shorter retention,
// for which other rows are too old.
var sweeps = []struct {
	retention string
	// age is how old the rows are that only this retention prunes, and older is less than that
	// and more than the age of what is left for the next.
	age, older time.Duration
}{
	{retention: "90d", age: 100 * day, older: 95 * day},
	{retention: "70d", age: 80 * day, older: 75 * day},
}

// insert inserts the rows of old builds that the rounds of one build prune.
func (s *subject) insert(ctx context.Context, name string) error {
	if err := s.pass(ctx); err != nil {
		return err
	}
	cis := make([]string, len(s.Family))
	for i := range cis {
		cis[i] = given.CI
	}
	for _, sweep := range sweeps {
		old := fixture.History{
			Name: name + "-older-than-" + sweep.retention, Namespace: namespace, Builds: s.builds, Age: sweep.age, Gone: sweep.age,
		}
		if err := old.Insert(ctx, s.Rows, s.Family, cis); err != nil {
			return err
		}
	}
	return nil
}

// pass has what there is become as old as what is inserted next: a table is pruned in the
// order of its ids, up to the first page of what is young.
func (s *subject) pass(ctx context.Context) error {
	for table, column := range map[string]string{"event": "at", "cd_workflow": "created_at", "turn": "created_at", "ci_artifact": "created_at"} {
		statement := fmt.Sprintf("UPDATE %s SET %s = now() - $1::interval WHERE %[2]s > now() - $1::interval", table, column)
		if _, err := s.Rows.Exec(ctx, statement, sweeps[0].age); err != nil {
			return fmt.Errorf("let time pass: %w", err)
		}
	}
	return nil
}

// prune has the rounds prune, one after the other.
func (s *subject) prune(ctx context.Context) ([]measure.Span, error) {
	var rounds []measure.Span
	for _, sweep := range sweeps {
		began := time.Now()
		if err := s.Set(ctx, fixture.QPS, keep(sweep.retention)); err != nil {
			return nil, err
		}
		if err := s.awaitPruned(ctx, sweep.older); err != nil {
			return nil, err
		}
		rounds = append(rounds, measure.Span{Begin: began, End: time.Now()})
	}
	return rounds, nil
}

// awaitPruned returns when no build that is older is left but those that stay. Builds are pruned last.
func (s *subject) awaitPruned(ctx context.Context, older time.Duration) error {
	left := 0
	err := wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		err := s.Rows.QueryRow(ctx, "SELECT count(*) FROM ci_build WHERE deleted_at < now() - $1::interval", older).Scan(&left)
		return left <= keptBuilds, err
	})
	if err != nil {
		return fmt.Errorf("%d old builds are left: %w", left, err)
	}
	return nil
}

// keep is the setting of a retention.
func keep(retention string) map[string]string {
	return map[string]string{"HISTORY_RETENTION": retention}
}
