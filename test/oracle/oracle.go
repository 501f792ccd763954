// Package oracle compares what the tables, the API servers and the audit log tell
// after a test, and names every promise (I1 to I8 of README.md) that was not kept.
package oracle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/test/audit"
)

// World is what the oracle looks at.
type World struct {
	// Database is a pool whose search_path is Penstock's schema.
	Database *pgxpool.Pool
	// Clusters reads each API server, without a cache, within the namespaces that
	// the database is about.
	Clusters []client.Reader
	// Log is what Penstock asked of the API servers within those namespaces.
	// Optional.
	Log audit.Log
	// Limits are checked against Log and Connections. Optional.
	Limits *Limits
	// Connections is the most connections of Penstock that were seen at once.
	Connections int
	// Restored says that the database has forgotten its last seconds: a status may go on
	// telling what was deployed in a pipeline of which the rows know nothing deployed.
	Restored bool
}

// Check fails the test where Violations finds any.
func Check(t testing.TB, world World) {
	t.Helper()
	violations, err := Violations(t.Context(), world)
	if err != nil {
		t.Fatalf("oracle: %v", err)
	}
	if len(violations) > 0 {
		t.Fatalf("the oracle finds %d violations:\n  %s", len(violations), strings.Join(violations, "\n  "))
	}
}

// Violations returns a sentence for each promise that is broken, none where all are
// kept.
func Violations(ctx context.Context, world World) ([]string, error) {
	var found []string
	looks := []func(context.Context, World) ([]string, error){rows, transitions, order, workflows, builds, chains, deliveries, creates, limits, history, events}
	for _, look := range looks {
		violations, err := look(ctx, world)
		if err != nil {
			return nil, err
		}
		found = append(found, violations...)
	}
	if len(found) > 0 {
		return found, nil // what statuses tell of broken rows is of no use
	}
	return lateStatuses(ctx, world)
}

const (
	// quiescePoll is the least time between two looks, lookShare how many
	// times longer it rests than it looks: a large world is not kept busy by it.
	// It rests for quiesceRest at most: who measures is told of an end soon.
	quiescePoll = 50 * time.Millisecond
	quiesceRest = time.Second
	lookShare   = 4
)

const (
	waitingTasks = `status IN ('Pending', 'Submitting')`
	unsettled    = `settled_at IS NULL AND status IN ` + endStates
	countOf      = `SELECT count(*) FROM task WHERE `
	underWay     = countOf + waitingTasks + ` OR (` + unsettled + `)`
)

// Quiesce returns when every delivery of a webhook is worked off, every build that ended on
// one of the API servers is planned, nothing waits for a slot, what follows each end is
// committed, and every status tells of it. What is held waits for nothing of Penstock's. The context bounds it.
func Quiesce(ctx context.Context, database *pgxpool.Pool, clusters ...client.Reader) error {
	return QuiesceTelling(ctx, func(string) {}, World{Database: database, Clusters: clusters})
}

// QuiesceTelling is Quiesce of a world that tells, after each look, what is left.
func QuiesceTelling(ctx context.Context, tell func(left string), world World) error {
	return until(ctx, world, func(ctx context.Context, world World) (string, error) {
		left, err := unfinished(ctx, world)
		if left != "" {
			tell(left)
		}
		return left, err
	})
}

// TakenUp returns when every build that ended on one of the API servers is planned,
// and nothing waits for a slot. The context bounds it.
func TakenUp(ctx context.Context, database *pgxpool.Pool, clusters ...client.Reader) error {
	return until(ctx, World{Database: database, Clusters: clusters}, func(ctx context.Context, world World) (string, error) {
		return left(ctx, world, countOf+waitingTasks)
	})
}

// until looks until nothing is left, of which look returns a sentence. A look that the end of
// the context interrupts found nothing out: the error names what the last whole one found.
func until(ctx context.Context, world World, look func(context.Context, World) (string, error)) error {
	var last string
	for {
		began := time.Now()
		sentence, err := look(ctx, world)
		switch {
		case err == nil && sentence == "":
			return nil
		case err == nil:
			last = sentence
		case isBadQuery(err):
			return err
		case ctx.Err() != nil && last != "":
		default: // the database is down: it comes back, or the context ends
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", last, ctx.Err())
		case <-time.After(min(max(quiescePoll, lookShare*time.Since(began)), quiesceRest)):
		}
	}
}

// isBadQuery reports whether Postgres has rejected the query itself (SQLSTATE class 42), which
// waiting does not mend. A missing table or column is no bad query: a migration may be under way.
func isBadQuery(err error) bool {
	const undefinedTable, undefinedColumn = "42P01", "42703"
	var rejected *pgconn.PgError
	return errors.As(err, &rejected) && strings.HasPrefix(rejected.Code, "42") && rejected.Code != undefinedTable && rejected.Code != undefinedColumn
}

// unfinished says what is under way; empty where nothing is.
func unfinished(ctx context.Context, world World) (string, error) {
	if sentence, err := leftDeliveries(ctx, world); err != nil || sentence != "" {
		return sentence, err
	}
	if sentence, err := left(ctx, world, underWay); err != nil || sentence != "" {
		return sentence, err
	}
	untold, err := statuses(ctx, world)
	if err != nil || len(untold) == 0 {
		return "", err
	}
	return fmt.Sprintf("%d statuses are behind the rows: %s", len(untold), untold[0]), nil
}

// left says how many tasks a query counts, or how many builds wait for their plan. Tasks
// are counted first, since that is soon done, and again at the end, since the last build
// may have been planned between.
func left(ctx context.Context, world World, query string) (string, error) {
	if sentence, err := leftTasks(ctx, world, query); err != nil || sentence != "" {
		return sentence, err
	}
	builds, err := unplanned(ctx, world)
	if err != nil {
		return "", err
	}
	if builds > 0 {
		return fmt.Sprintf("%d builds are not planned", builds), nil
	}
	return leftTasks(ctx, world, query)
}

func leftTasks(ctx context.Context, world World, query string) (string, error) {
	var tasks int
	if err := world.Database.QueryRow(ctx, query).Scan(&tasks); err != nil || tasks == 0 {
		return "", err
	}
	return fmt.Sprintf("%d tasks are still under way", tasks), nil
}

func leftDeliveries(ctx context.Context, world World) (string, error) {
	var open int
	err := world.Database.QueryRow(ctx, `SELECT count(*) FROM webhook_delivery WHERE `+openDeliveries).Scan(&open)
	if err != nil || open == 0 {
		return "", err
	}
	return fmt.Sprintf("%d deliveries are not worked off", open), nil
}

// unplanned counts the builds that ended and are not planned.
func unplanned(ctx context.Context, world World) (builds int, err error) {
	plans, err := readPlans(ctx, world)
	if err != nil {
		return 0, err
	}
	for _, cluster := range world.Clusters {
		objects, err := readObjects(ctx, cluster)
		if err != nil {
			return 0, err
		}
		for i := range objects.builds {
			if _, planned := plans[string(objects.builds[i].UID)]; !planned && objects.awaitsPlan(&objects.builds[i]) {
				builds++
			}
		}
	}
	return builds, nil
}
