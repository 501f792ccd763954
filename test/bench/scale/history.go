package scale

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/given"
)

// history inserts what a product that has run for long has in its tables, and returns how
// many rows that are. It is a number of past runs of each pipeline of a group.
func (p *past) history(ctx context.Context) (int64, error) {
	if err := store.Migrate(ctx, store.Config{URL: p.cluster.DatabaseURL, Schema: fixture.Schema, MaxConns: 1}); err != nil {
		return 0, err
	}
	var pipelines v1alpha1.CdPipelineList
	if err := p.cluster.Client.List(ctx, &pipelines, client.InNamespace(namespace)); err != nil {
		return 0, fmt.Errorf("list pipelines: %w", err)
	}
	var family given.Family
	var cis []string
	for i := range pipelines.Items {
		pipeline := &pipelines.Items[i]
		if ci := pipeline.Name[:len(pipeline.Name)-len("-000")]; ci != burstCI {
			family, cis = append(family, *pipeline), append(cis, ci)
		}
	}
	return p.insert(ctx, family, cis)
}

func (p *past) insert(ctx context.Context, family given.Family, cis []string) (int64, error) {
	connection, err := p.cluster.Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = connection.Close(ctx) }()
	const day = 24 * time.Hour
	old := fixture.History{Name: "old", Namespace: namespace, Builds: p.runs, Age: 29 * day, Gone: 2 * day}
	if err := old.Insert(ctx, connection, family, cis); err != nil {
		return 0, err
	}
	var rows int64
	err = connection.QueryRow(ctx, `SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM task) + (SELECT count(*) FROM cd_workflow)
		+ (SELECT count(*) FROM cd_workflow_runner) + (SELECT count(*) FROM trigger_decision) + (SELECT count(*) FROM turn)`).Scan(&rows)
	return rows, err //nolint:wrapcheck // the caller says what it counts
}
