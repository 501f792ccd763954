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

// Quiesce returns when nothing waits for a slot and every end was followed. The
// context bounds it.
func Quiesce(ctx context.Context, database *pgxpool.Pool) error {
	left := -1
	err := wait.PollUntilContextCancel(ctx, quiescePoll, true, func(ctx context.Context) (bool, error) {
		if err := database.QueryRow(ctx, underWay).Scan(&left); err != nil {
			return false, nil //nolint:nilerr // a database that is down comes back, or the context ends
		}
		return left == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%d rows are still under way: %w", left, err)
	}
	return nil
}
