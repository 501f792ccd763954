// Package oracle compares what the tables, the API servers and the audit log tell
// after a test, and names every promise (I1 to I5 of docs/architecture.md) that was
// not kept.
package oracle

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// World is what the oracle looks at.
type World struct {
	// Database is a pool whose search_path is Penstock's schema.
	Database *pgxpool.Pool
	// Clusters reads each API server, without a cache, within the namespaces that
	// the database is about.
	Clusters []client.Reader
	// AuditLog is the path of an API server's audit log. Optional.
	AuditLog string
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
	for _, look := range []func(context.Context, World) ([]string, error){rows, transitions, workflows, builds, creates} {
		violations, err := look(ctx, world)
		if err != nil {
			return nil, err
		}
		found = append(found, violations...)
	}
	return found, nil
}

// quiescePoll is how often Quiesce looks.
const quiescePoll = 50 * time.Millisecond

const underWay = `SELECT count(*) FROM cd_workflow_runner WHERE status IN ('Pending', 'Submitting')
	OR (followed_at IS NULL AND status IN ('Succeeded', 'Failed', 'Error', 'Cancelled', 'Superseded'))`

// Quiesce returns when every build that ended on one of the API servers is planned,
// nothing waits for a slot and every end was followed. The context bounds it.
func Quiesce(ctx context.Context, database *pgxpool.Pool, clusters ...client.Reader) error {
	world := World{Database: database, Clusters: clusters}
	left := "nothing could be read"
	err := wait.PollUntilContextCancel(ctx, quiescePoll, true, func(ctx context.Context) (bool, error) {
		builds, rows, err := unfinished(ctx, world)
		if err != nil {
			return false, nil //nolint:nilerr // a database that is down comes back, or the context ends
		}
		left = fmt.Sprintf("%d builds are not planned, %d rows are still under way", builds, rows)
		return builds+rows == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", left, err)
	}
	return nil
}

// unfinished counts the builds that are not planned, then the rows under way.
func unfinished(ctx context.Context, world World) (builds, rows int, err error) {
	for _, cluster := range world.Clusters {
		objects, err := readObjects(ctx, cluster)
		if err != nil {
			return 0, 0, err
		}
		plans, err := readPlans(ctx, world)
		if err != nil {
			return 0, 0, err
		}
		for i := range objects.builds {
			if _, planned := plans[string(objects.builds[i].UID)]; !planned && objects.awaitsPlan(&objects.builds[i]) {
				builds++
			}
		}
	}
	err = world.Database.QueryRow(ctx, underWay).Scan(&rows)
	return builds, rows, err
}
